import { endOf, LANE_NAMES, type LaneName } from '../../model/lane.ts'
import { emptyLedger, type Ledger } from '../../model/ledger.ts'
import type { LinkId } from '../../model/ids.ts'
import type { LedgerRecount } from '../../ports/lane-store.ts'
import { lengthOf, missingFrom, type Range } from '../../model/range.ts'
import { wipe } from '../../support/wipe.ts'
import { CHUNK_BYTES, type DeliveryRow, type LinkRow, type StoreTx } from '../store-tx.ts'
import { heldBytes } from './delivery-rows.ts'
import { isSelfLink, requireLink } from './guard.ts'

const PAGE_ROWS = 500

export const readLedger = (tx: StoreTx, linkId: LinkId): Ledger => {
  requireLink(tx, linkId)
  return tx.readLedger(linkId) ?? emptyLedger()
}

export const recountLedger = (tx: StoreTx, linkId: LinkId): LedgerRecount => {
  const row = requireLink(tx, linkId)
  const rows = {
    unverified: tx.sumUnverified(linkId),
    ownLane: 0,
    otherLane: 0,
    held: countHeld(tx, linkId),
  }
  for (const lane of LANE_NAMES) rows[laneState(row, lane)] += countLane(tx, linkId, lane)
  return { counters: readLedger(tx, linkId), rows }
}

const laneState = ({ identity }: LinkRow, lane: LaneName): 'ownLane' | 'otherLane' =>
  isSelfLink(identity) || endOf(identity.kmeId, identity.peerKmeId) === lane
    ? 'ownLane'
    : 'otherLane'

/** Free bytes that chunks really cover. */
const countLane = (tx: StoreTx, linkId: LinkId, lane: LaneName): number => {
  const { consumed, appendedBytes } = tx.readLane(linkId, lane)
  const free = missingFrom(consumed, { start: 0, end: appendedBytes })
  let bytes = 0
  for (const { number, lengthBytes } of tx.listChunks(linkId, lane)) {
    const start = number * CHUNK_BYTES
    const chunk = { start, end: start + lengthBytes }
    for (const run of free) bytes += Math.max(0, lengthOf(overlapOf(run, chunk)))
  }
  return bytes
}

const overlapOf = (a: Range, b: Range): Range => ({
  start: Math.max(a.start, b.start),
  end: Math.min(a.end, b.end),
})

const countHeld = (tx: StoreTx, linkId: LinkId): number => {
  let bytes = 0
  let page = tx.listDeliveries(linkId, 0, PAGE_ROWS)
  while (page.length > 0) {
    for (const row of page) if (isHeld(tx, row)) bytes += heldBytes(row)
    page = tx.listDeliveries(linkId, page.at(-1)?.seq ?? Infinity, PAGE_ROWS)
  }
  return bytes
}

const isHeld = (tx: StoreTx, row: DeliveryRow): boolean => {
  const held = tx.readHeld(row)
  wipe(held)
  return held !== null
}
