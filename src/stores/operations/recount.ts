import { endOf, LANE_NAMES, type LaneName } from '../../model/lane.ts'
import { emptyLedger, type Ledger } from '../../model/ledger.ts'
import type { LinkId } from '../../model/ids.ts'
import type { LedgerRecount } from '../../ports/lane-store.ts'
import {
  coveredBytes,
  missingFrom,
  presentIn,
  removeRanges,
  type RangeSet,
} from '../../model/range.ts'
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
    granted: 0,
    held: countHeld(tx, linkId),
  }
  for (const lane of LANE_NAMES) {
    const { consumed, granted, appendedBytes } = tx.readLane(linkId, lane)
    const free = missingFrom(consumed, { start: 0, end: appendedBytes })
    rows[laneState(row, lane)] += countLane(tx, linkId, lane, removeRanges(free, granted))
    rows.granted += countLane(tx, linkId, lane, granted)
  }
  return { counters: readLedger(tx, linkId), rows }
}

const laneState = ({ identity }: LinkRow, lane: LaneName): 'ownLane' | 'otherLane' =>
  isSelfLink(identity) || endOf(identity.kmeId, identity.peerKmeId) === lane
    ? 'ownLane'
    : 'otherLane'

/** Bytes of the ranges that chunks really cover. */
const countLane = (tx: StoreTx, linkId: LinkId, lane: LaneName, ranges: RangeSet): number => {
  let bytes = 0
  for (const { number, lengthBytes } of tx.listChunks(linkId, lane)) {
    const start = number * CHUNK_BYTES
    bytes += coveredBytes(presentIn(ranges, { start, end: start + lengthBytes }))
  }
  return bytes
}

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
