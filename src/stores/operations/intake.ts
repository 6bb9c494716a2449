import type { BlockRef } from '../../model/block.ts'
import type { Moment } from '../../model/moment.ts'
import type { Random } from '../../ports/clock.ts'
import type {
  BlockIntake,
  IntakeBlock,
  LaneStretch,
  OwnWrite,
  ReceivedBlocks,
} from '../../ports/lane-store.ts'
import type { OfferOutcome } from '../../ports/qkd-driver.ts'
import { wipe } from '../../support/wipe.ts'
import type { BlockRow, StoreTx } from '../store-tx.ts'
import { appendBytes } from './append.ts'
import { endBlock, materialFrom, quarantine } from './block-rows.ts'
import { withFingerprints } from './fingerprint.ts'
import { applyOwn } from './guard.ts'
import type { LinkChange } from './link-change.ts'

/** One offered block, and where it is told what becomes of it. */
interface Offer {
  readonly change: LinkChange
  readonly block: IntakeBlock
  readonly end: BlockIntake['end']
  readonly fingerprint: Buffer
  readonly receivedMs: number
  readonly conflicting: BlockRef[]
  readonly appended: LaneStretch[]
}

export const receiveBlocks = (
  tx: StoreTx,
  random: Random,
  write: OwnWrite,
  intake: BlockIntake,
  moment: Moment,
): ReceivedBlocks =>
  applyOwn(tx, write, (change) => {
    // Refs count within an epoch: before the first one there is nothing to name a block in.
    change.requireEpoch()
    const conflicting: BlockRef[] = []
    const appended: LaneStretch[] = []
    const outcomes = withFingerprints(tx, change.linkId, random, (fingerprintOf) =>
      intake.blocks.map((block) =>
        receive({
          change,
          block,
          end: intake.end,
          fingerprint: fingerprintOf(block.material),
          receivedMs: moment.runningMs,
          conflicting,
          appended,
        }),
      ),
    )
    if (intake.checkpoint) {
      tx.writeCheckpoint(change.linkId, intake.deviceId, intake.checkpoint)
      change.touch()
    }
    return { outcomes, conflicting, appended }
  })

const receive = (offer: Offer): OfferOutcome => {
  const { change, block } = offer
  if (block.material.length === 0) return 'refused'
  const row = change.tx.findBlock(change.linkId, block.ref)
  switch (row?.state) {
    case undefined:
      return storeNew(offer, false)
    case 'awaited':
      return receiveAwaited(offer, row)
    case 'gone':
      return 'refused'
    case 'quarantined':
      return 'quarantined'
    case 'unverified':
      return isSecondEnd(offer, row) ? joinEnds(offer, row) : receiveAgain(offer, row)
    case 'verified':
      return receiveAgain(offer, row)
  }
}

const receiveAwaited = (offer: Offer, row: BlockRow): OfferOutcome => {
  const { change, block } = offer
  // The row that replaces it takes its place among the received ones.
  change.tx.deleteBlock(row.seq)
  if (row.lengthBytes === block.material.length) return storeNew(offer, true)
  offer.conflicting.push(block.ref)
  return storeQuarantined(offer)
}

const storeNew = (offer: Offer, matched: boolean): OfferOutcome => {
  const { change, block, end } = offer
  if (block.finding !== null) return storeQuarantined(offer)
  if (change.isSelf && end === 'both') return storeAppended(offer)
  change.receive('unverified', block.material.length)
  insert(offer, 'unverified', matched)
  return 'stored'
}

const storeQuarantined = (offer: Offer): OfferOutcome => {
  offer.change.receive('quarantined', offer.block.material.length)
  insert(offer, 'quarantined', false)
  return 'quarantined'
}

const storeAppended = (offer: Offer): OfferOutcome => {
  const { change, block } = offer
  change.receive('unverified', block.material.length)
  insert(offer, 'verified', true)
  appendHere(offer, block.material, offer.receivedMs)
  return 'stored'
}

/** The same ref once more, from where it came before. */
const receiveAgain = (offer: Offer, row: BlockRow): OfferOutcome => {
  const { change, block } = offer
  if (isSame(offer, row)) return 'duplicate'
  offer.conflicting.push(block.ref)
  change.receive('quarantined', block.material.length)
  quarantine(change, row)
  return 'quarantined'
}

const isSame = ({ block, fingerprint }: Offer, row: BlockRow): boolean =>
  row.lengthBytes === block.material.length && row.fingerprint?.equals(fingerprint) === true

const isSecondEnd = ({ change, end }: Offer, row: BlockRow): boolean =>
  change.isSelf && row.end !== end

/** Both ends of a device at one KME: its bytes are there twice, and count once. */
const joinEnds = (offer: Offer, row: BlockRow): OfferOutcome => {
  const { change, block } = offer
  const first = materialFrom(change, row, 0)
  const equal = first.equals(block.material)
  wipe(first)
  if (!equal || block.finding !== null) {
    if (!equal) offer.conflicting.push(block.ref)
    endBlock(change, row, 'quarantined', 'quarantined')
    return 'quarantined'
  }
  change.tx.deleteMaterial(row.seq)
  change.tx.updateBlock({ ...row, state: 'verified', matched: true })
  appendHere(offer, block.material, row.receivedMs)
  return 'stored'
}

/** On a link of this KME with itself what is appended is at both ends at once. */
const appendHere = (offer: Offer, bytes: Buffer, receivedMs: number): void => {
  offer.appended.push(...appendBytes(offer.change, bytes, receivedMs))
  offer.change.lanes.makeUsable('verifier')
  offer.change.lanes.makeUsable('follower')
}

const insert = (offer: Offer, state: BlockRow['state'], matched: boolean): void => {
  const { change, block, end, fingerprint, receivedMs } = offer
  const row = {
    linkId: change.linkId,
    ref: block.ref,
    lengthBytes: block.material.length,
    state,
    announced: false,
    matched,
    suspect: false,
    spentBytes: 0,
    receivedMs,
    end,
    fingerprint,
  }
  change.tx.insertBlock(row, state === 'unverified' ? block.material : null)
}
