import { KmeError } from '../../errors.ts'
import { endOf, LANE_NAMES, sameEpoch, type LaneName } from '../../model/lane.ts'
import { emptyLedger } from '../../model/ledger.ts'
import { isRangeSet, missingFrom, presentIn, type Range, type RangeSet } from '../../model/range.ts'
import type { LinkId } from '../../model/ids.ts'
import type { KnownOfPeer } from '../../ports/peer.ts'
import type {
  HeardHello,
  HelloAgreement,
  HelloTeaching,
  LinkIdentity,
  LinkSnapshot,
  OwnWrite,
} from '../../ports/lane-store.ts'
import type { LinkRow, StoreTx } from '../store-tx.ts'
import { applyOwn, changeLink, lifeEnded, requireLink } from './guard.ts'
import type { LinkChange } from './link-change.ts'

export const openLink = (tx: StoreTx, identity: LinkIdentity): LinkSnapshot => {
  const known = tx.findLink(identity.linkId)
  if (known) {
    assertSameIdentity(known.identity, identity)
    return snapshotOf(tx, known)
  }
  const row: LinkRow = {
    identity,
    life: 0,
    greeted: false,
    counting: false,
    commitCounter: 0,
    changes: 0,
    epoch: null,
    // What the link had before, should it have been there, is not in the copy that was put back.
    restored: tx.listFormerGenerations().length > 0,
    epochAfterRestoreOf: null,
    epochAgreed: false,
    knownOfPeer: null,
    lastBatch: 0,
    closedTold: true,
  }
  tx.writeLink(row)
  tx.writeLedger(identity.linkId, emptyLedger())
  return snapshotOf(tx, row)
}

const assertSameIdentity = (known: LinkIdentity, asked: LinkIdentity): void => {
  if (known.kmeId === asked.kmeId && known.peerKmeId === asked.peerKmeId) return
  throw new KmeError(
    'CONFIG_INVALID',
    `link ${known.linkId} is between ${known.kmeId} and ${known.peerKmeId} in this store, not ` +
      `between ${asked.kmeId} and ${asked.peerKmeId}; give the new link a name of its own`,
  )
}

export const readLink = (tx: StoreTx, linkId: LinkId): LinkSnapshot =>
  snapshotOf(tx, requireLink(tx, linkId))

export const beginLife = (tx: StoreTx, linkId: LinkId): LinkSnapshot => {
  const row = requireLink(tx, linkId)
  const next = { ...row, life: row.life + 1, greeted: false, counting: false }
  tx.writeLink(next)
  return snapshotOf(tx, next)
}

export const hearHello = (tx: StoreTx, linkId: LinkId, told: HelloTeaching): HeardHello => {
  const row = requireLink(tx, linkId)
  const known = row.knownOfPeer
  const peerLifeRose =
    row.epoch !== null &&
    known !== null &&
    sameEpoch(row.epoch, told.epoch) &&
    told.life > known.life
  if (!peerLifeRose) return { snapshot: snapshotOf(tx, row), peerLifeRose }
  return changeLink(tx, row, (change) => {
    change.update({ knownOfPeer: { ...known, life: told.life }, greeted: false })
    return { snapshot: savedSnapshot(change), peerLifeRose }
  })
}

export const applyHello = (
  tx: StoreTx,
  write: OwnWrite,
  { peer, adopt, closedBatch }: HelloAgreement,
): LinkSnapshot =>
  applyOwn(tx, write, (change) => {
    // Of a store that was restored since nothing may be agreed.
    if (change.row.restored) throw lifeEnded(change.linkId)
    const known = sameGeneration(change.row.knownOfPeer, peer)
    // The peer has begun another life since it answered.
    if (known && peer.life < known.life) throw lifeEnded(change.linkId)
    const commitCounter = Math.max(peer.commitCounter, known?.commitCounter ?? 0)
    for (const lane of LANE_NAMES) {
      adoptRanges(change, lane, adopt[lane] ?? [])
    }
    if (closedBatch !== null) closeUpTo(change, closedBatch)
    const knownOfPeer = { ...peer, commitCounter }
    change.update({ knownOfPeer, epochAgreed: true, greeted: true, counting: true })
    return savedSnapshot(change)
  })

const sameGeneration = (known: KnownOfPeer | null, peer: KnownOfPeer): KnownOfPeer | null =>
  known?.generation === null || known?.generation === peer.generation ? known : null

/** The peer holds these for deliveries whose master never got an answer: a crash lost our commit. */
const adoptRanges = (change: LinkChange, lane: LaneName, ranges: RangeSet): void => {
  if (!isRangeSet(ranges, change.lanes.state(lane).appendedBytes)) {
    throw new KmeError('PROTOCOL', `link ${change.linkId}: the peer used bytes that no lane has`)
  }
  for (const range of ranges) {
    // Of what the other end allocates from, this end learns by its confirms and drops only.
    for (const part of allocatedHere(change, lane, range)) change.erase(lane, part, 'delivered')
  }
}

/** What of a range only this end can have allocated from: its own lane, and the grants that it has of the other. */
const allocatedHere = (change: LinkChange, lane: LaneName, range: Range): RangeSet => {
  const { granted } = change.lanes.state(lane)
  return change.owns(lane) ? missingFrom(granted, range) : presentIn(granted, range)
}

/** Follower: what batches up to `batch` appended is usable. */
export const closeUpTo = (change: LinkChange, batch: number): void => {
  if (change.end === 'verifier') return
  const { lastBatch } = change.row
  if (!Number.isSafeInteger(batch) || batch > lastBatch) {
    throw new KmeError('PROTOCOL', `link ${change.linkId}: batch ${batch} was never decided here`)
  }
  // Only the last batch can be open: the next one is proposed when it is closed.
  if (batch < lastBatch) return
  for (const lane of LANE_NAMES) if (change.lanes.makeUsable(lane)) change.touch()
}

/** The state after what `change` did. */
export const savedSnapshot = (change: LinkChange): LinkSnapshot => {
  change.save()
  return snapshotOf(change.tx, change.row)
}

export const snapshotOf = (tx: StoreTx, row: LinkRow): LinkSnapshot => {
  const { linkId, kmeId, peerKmeId } = row.identity
  return {
    ...row,
    end: endOf(kmeId, peerKmeId),
    generation: tx.readMeta().generation,
    openProposal: tx.readProposal(linkId),
    lanes: { verifier: tx.readLane(linkId, 'verifier'), follower: tx.readLane(linkId, 'follower') },
  }
}
