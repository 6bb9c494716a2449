import { KmeError } from '../../errors.ts'
import { sameEpoch } from '../../model/lane.ts'
import type { LinkId } from '../../model/ids.ts'
import type { LinkIdentity, OwnWrite, Stamped } from '../../ports/lane-store.ts'
import type { Stamp } from '../../ports/peer.ts'
import type { LinkRow, StoreTx } from '../store-tx.ts'
import { LinkChange } from './link-change.ts'

/** Whether both ends of the link are this KME: it is its own peer, without a network. */
export const isSelfLink = ({ kmeId, peerKmeId }: LinkIdentity): boolean => kmeId === peerKmeId

/** @throws TypeError where the link was never opened */
export const requireLink = (tx: StoreTx, linkId: LinkId): LinkRow => {
  const row = tx.findLink(linkId)
  if (!row) throw new TypeError(`link ${linkId} was not opened in this store`)
  return row
}

/**
 * Runs `work` on a link and writes what it changed of it, once. Whatever it read of lanes is wiped.
 */
export const changeLink = <T>(tx: StoreTx, row: LinkRow, work: (change: LinkChange) => T): T => {
  const change = new LinkChange(tx, row)
  try {
    const value = work(change)
    change.save()
    return value
  } finally {
    change.wipe()
  }
}

/** Runs a write of this KME. @throws KmeError LIFE_ENDED where its life or epoch is over */
export const applyOwn = <T>(tx: StoreTx, write: OwnWrite, work: (change: LinkChange) => T): T => {
  const row = requireLink(tx, write.linkId)
  if (row.life !== write.life || !sameEpoch(row.epoch, write.epoch)) throw lifeEnded(write.linkId)
  return changeLink(tx, row, work)
}

export const lifeEnded = (linkId: LinkId): KmeError =>
  new KmeError(
    'LIFE_ENDED',
    `link ${linkId}: its life or epoch moved on; begin from its present state`,
  )

/** Applies a message of the peer, if its stamp is of the present. */
export const applyStamped = <T>(
  tx: StoreTx,
  linkId: LinkId,
  stamp: Stamp,
  work: (change: LinkChange) => T,
): Stamped<T> => {
  const row = requireLink(tx, linkId)
  const age = ageOf(row, stamp)
  if (age !== 'present') return { kind: age }
  const value = changeLink(tx, row, (change) => {
    change.sawPeerCounter(stamp.commitCounter)
    return work(change)
  })
  return { kind: 'applied', value }
}

const ageOf = (row: LinkRow, stamp: Stamp): 'present' | 'stale' | 'retry' => {
  const known = row.knownOfPeer
  if (row.epoch === null || known === null) return 'retry'
  if (stamp.epoch.counter < row.epoch.counter) return 'stale'
  // Also an equal counter with another ID: who made it meets this end's in the next hello.
  if (!sameEpoch(row.epoch, stamp.epoch)) return 'retry'
  if (stamp.senderLife < known.life || stamp.receiverLife < row.life) return 'stale'
  if (stamp.senderLife > known.life || stamp.receiverLife > row.life) return 'retry'
  return row.greeted ? 'present' : 'retry'
}
