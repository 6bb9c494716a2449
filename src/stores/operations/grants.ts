import { KmeError } from '../../errors.ts'
import { LEAST_GRANT_BYTES, type LaneName } from '../../model/lane.ts'
import type { LinkId } from '../../model/ids.ts'
import type {
  AppliedGrant,
  LaneGrant,
  LinkSnapshot,
  OwnWrite,
  Stamped,
} from '../../ports/lane-store.ts'
import type { Stamp } from '../../ports/peer.ts'
import {
  contains,
  lengthOf,
  missingFrom,
  overlaps,
  type Range,
  type RangeSet,
} from '../../model/range.ts'
import type { StoreTx } from '../store-tx.ts'
import { isFree } from './delivery-rows.ts'
import { applyOwn, applyStamped, lifeEnded } from './guard.ts'
import type { LinkChange } from './link-change.ts'
import { savedSnapshot } from './links.ts'

/** Whether this KME may allocate the range: free, of its own lane and not granted, or in a grant that it has. */
export const isAllocatable = (change: LinkChange, lane: LaneName, range: Range): boolean => {
  const state = change.lanes.state(lane)
  const { usableBytes, appendedBytes, granted } = state
  if (!change.owns(lane)) return isFree(state, range, appendedBytes) && contains(granted, range)
  return isFree(state, range, usableBytes) && !overlaps(granted, range)
}

/** Whether only the peer can have allocated a range that is free here: of its lane and not granted to us, or of ours and granted. */
export const isAllocatedByPeer = (change: LinkChange, lane: LaneName, range: Range): boolean => {
  const { granted } = change.lanes.state(lane)
  return change.owns(lane) ? contains(granted, range) : !overlaps(granted, range)
}

export const commitGrant = (
  tx: StoreTx,
  write: OwnWrite,
  { lane, range }: LaneGrant,
): LinkSnapshot =>
  applyOwn(tx, write, (change) => {
    if (!change.row.greeted) throw lifeEnded(change.linkId)
    const isSound =
      lengthOf(range) >= LEAST_GRANT_BYTES &&
      change.owns(lane) &&
      !change.isSelf &&
      isAllocatable(change, lane, range)
    if (!isSound) throw outOfStep(change.linkId, lane, range, 'granted')
    change.grant(lane, range)
    tx.insertPendingGrant(change.linkId, { lane, range })
    return savedSnapshot(change)
  })

export const outOfStep = (
  linkId: LinkId,
  lane: LaneName,
  { start, end }: Range,
  what: 'granted' | 'dropped',
): KmeError =>
  new KmeError(
    'INTERNAL',
    `link ${linkId}: bytes ${start} to ${end} of the ${lane}'s lane cannot be ${what}; the ` +
      'allocator is out of step with the store',
  )

export const markGranted = (tx: StoreTx, write: OwnWrite, grants: readonly LaneGrant[]): void => {
  applyOwn(tx, write, (change) => {
    for (const grant of grants) tx.deletePendingGrant(change.linkId, grant)
    if (grants.length > 0) change.touch()
  })
}

export const applyGrants = (
  tx: StoreTx,
  linkId: LinkId,
  stamp: Stamp,
  lane: LaneName,
  ranges: RangeSet,
): Stamped<AppliedGrant | 'refused'> =>
  applyStamped(tx, linkId, stamp, (change) => {
    const { appendedBytes, consumed, granted } = change.lanes.state(lane)
    // The owner gives what it knows to be appended here, so it is, whatever was told to be closed.
    const isSound = ranges.every(
      (range) =>
        range.start >= 0 && range.end <= appendedBytes && lengthOf(range) >= LEAST_GRANT_BYTES,
    )
    if (change.owns(lane) || !isSound) return 'refused'
    // What is granted or consumed already was taken from an earlier coming of the same message.
    const added = ranges
      .flatMap((range) => missingFrom(consumed, range))
      .flatMap((range) => missingFrom(granted, range))
    for (const range of added) change.grant(lane, range)
    const stretches = added.flatMap((range) => tx.findStretches(linkId, lane, range))
    return { snapshot: savedSnapshot(change), added, stretches }
  })
