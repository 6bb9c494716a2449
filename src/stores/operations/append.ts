import type { LaneStretch } from '../../ports/lane-store.ts'
import type { LinkChange } from './link-change.ts'

/**
 * Appends verified bytes, in proposal order: the first half (rounded down) to the verifier's lane,
 * the rest to the follower's. So the lanes grow alike at both ends. The bytes stay the caller's.
 */
export const appendBytes = (
  change: LinkChange,
  bytes: Buffer,
  receivedMs: number,
): readonly LaneStretch[] => {
  const half = Math.floor(bytes.length / 2)
  const parts = [
    { lane: 'verifier', part: bytes.subarray(0, half) },
    { lane: 'follower', part: bytes.subarray(half) },
  ] as const
  return parts.flatMap(({ lane, part }) => {
    change.move('unverified', change.laneLedgerState(lane), part.length)
    return change.lanes.append(lane, part, receivedMs) ?? []
  })
}
