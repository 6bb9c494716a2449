import type { LaneDrop } from '../../ports/delivery-store.ts'
import type { LaneName } from '../../model/lane.ts'
import type { LinkId } from '../../model/ids.ts'
import type { OwnWrite, Stamped } from '../../ports/lane-store.ts'
import type { Stamp } from '../../ports/peer.ts'
import type { RangeSet } from '../../model/range.ts'
import type { StoreTx } from '../store-tx.ts'
import { applyOwn, applyStamped } from './guard.ts'
import type { LinkChange } from './link-change.ts'

export const markDropped = (tx: StoreTx, write: OwnWrite, drops: readonly LaneDrop[]): void => {
  applyOwn(tx, write, (change) => {
    for (const drop of drops) tx.deletePendingDrop(change.linkId, drop)
    if (drops.length > 0) change.touch()
  })
}

export const applyDrops = (
  tx: StoreTx,
  linkId: LinkId,
  stamp: Stamp,
  lane: LaneName,
  ranges: RangeSet,
): Stamped<'done' | 'refused'> =>
  applyStamped(tx, linkId, stamp, (change) => {
    if (change.owns(lane) || !areInLane(change, lane, ranges)) return 'refused'
    for (const range of ranges) {
      // What is consumed already is with a delivery, which keeps it.
      change.move('otherLane', 'dropped', change.lanes.erase(lane, range))
    }
    return 'done'
  })

/** They may touch or come in any order: each is applied by itself. */
const areInLane = (change: LinkChange, lane: LaneName, ranges: RangeSet): boolean => {
  const { appendedBytes } = change.lanes.state(lane)
  return ranges.every(
    ({ start, end }) =>
      Number.isSafeInteger(start) &&
      Number.isSafeInteger(end) &&
      start >= 0 &&
      end > start &&
      end <= appendedBytes,
  )
}
