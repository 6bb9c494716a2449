import type { LaneDrop } from '../../ports/delivery-store.ts'
import type { LaneName } from '../../model/lane.ts'
import type { LinkId } from '../../model/ids.ts'
import type { LinkSnapshot, OwnWrite, Stamped } from '../../ports/lane-store.ts'
import type { Stamp } from '../../ports/peer.ts'
import { missingFrom, type RangeSet } from '../../model/range.ts'
import type { StoreTx } from '../store-tx.ts'
import { isAllocatable, isAllocatedByPeer, outOfStep } from './grants.ts'
import { applyOwn, applyStamped } from './guard.ts'
import type { LinkChange } from './link-change.ts'
import { savedSnapshot } from './links.ts'

export const markDropped = (tx: StoreTx, write: OwnWrite, drops: readonly LaneDrop[]): void => {
  applyOwn(tx, write, (change) => {
    for (const drop of drops) tx.deletePendingDrop(change.linkId, drop)
    if (drops.length > 0) change.touch()
  })
}

export const dropAged = (tx: StoreTx, write: OwnWrite, drops: readonly LaneDrop[]): LinkSnapshot =>
  applyOwn(tx, write, (change) => {
    for (const { lane, range } of drops) {
      if (!isAllocatable(change, lane, range))
        throw outOfStep(change.linkId, lane, range, 'dropped')
      change.erase(lane, range, 'dropped')
      if (!change.isSelf) tx.insertPendingDrop(change.linkId, { lane, range })
    }
    return savedSnapshot(change)
  })

export const applyDrops = (
  tx: StoreTx,
  linkId: LinkId,
  stamp: Stamp,
  lane: LaneName,
  ranges: RangeSet,
): Stamped<'done' | 'refused'> =>
  applyStamped(tx, linkId, stamp, (change) => {
    if (!areInLane(change, lane, ranges)) return 'refused'
    const { consumed } = change.lanes.state(lane)
    // What is consumed already is with a delivery, which keeps it.
    const free = ranges.flatMap((range) => missingFrom(consumed, range))
    if (!free.every((range) => isAllocatedByPeer(change, lane, range))) return 'refused'
    for (const range of free) change.erase(lane, range, 'dropped')
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
