import { addRange, coveredBytes, lengthOf, missingFrom } from '../model/range.ts'
import type { LaneName, LaneState } from '../model/lane.ts'
import type { LaneStretch } from '../ports/lane-store.ts'
import type { Range, RangeSet } from '../model/range.ts'

export type Allocation =
  | { readonly outcome: 'taken'; readonly range: Range }
  /** No run of free bytes is long enough. */
  | { readonly outcome: 'short' }
  /** The bytes that would be next were received too long ago. */
  | { readonly outcome: 'too-old' }

export interface AllocationRequest {
  readonly lengthBytes: number
  readonly nowMs: number
  readonly maxAgeMs: number | null
}

/**
 * The free bytes of a lane that this KME owns, in memory. What is taken never comes back in a life
 * of the link, whatever becomes of it: the store holds what was durably consumed, and a new life
 * starts from that. Only bytes that are durable at both ends are free.
 */
export class LaneAllocator {
  readonly lane: LaneName
  #free: RangeSet
  #usableBytes: number
  /** Oldest first; those before `#firstStretch` hold nothing free any more. */
  #stretches: LaneStretch[]
  #firstStretch = 0

  constructor(lane: LaneName, state: LaneState, stretches: readonly LaneStretch[]) {
    this.lane = lane
    this.#usableBytes = state.usableBytes
    this.#free = missingFrom(state.consumed, { start: 0, end: state.usableBytes })
    this.#stretches = [...stretches]
  }

  /** Bytes that can be taken now. */
  get freeBytes(): number {
    return coveredBytes(this.#free)
  }

  /** How many keys of that length could be taken, each whole. */
  countKeys(keyLengthBytes: number): number {
    return this.#free.reduce((sum, run) => sum + Math.floor(lengthOf(run) / keyLengthBytes), 0)
  }

  /** More of the lane became usable; the new stretches tell when it was received. */
  extend(usableBytes: number, appended: readonly LaneStretch[]): void {
    const known = this.#stretches.at(-1)?.end ?? 0
    for (const stretch of appended) if (stretch.end > known) this.#stretches.push(stretch)
    if (usableBytes <= this.#usableBytes) return
    this.#free = addRange(this.#free, { start: this.#usableBytes, end: usableBytes })
    this.#usableBytes = usableBytes
  }

  /** The next free bytes, oldest first. */
  take(request: AllocationRequest): Allocation {
    const run = this.#free.find((free) => lengthOf(free) >= request.lengthBytes)
    if (!run) return { outcome: 'short' }
    const range = { start: run.start, end: run.start + request.lengthBytes }
    if (this.#isTooOld(range, request)) return { outcome: 'too-old' }
    this.#free = this.#free.flatMap((free) => missingFrom([range], free))
    this.#forgetStretches()
    return { outcome: 'taken', range }
  }

  #isTooOld(range: Range, { maxAgeMs, nowMs }: AllocationRequest): boolean {
    if (maxAgeMs === null) return false
    let coveredTo = range.start
    for (let i = this.#firstStretch; coveredTo < range.end; i += 1) {
      const stretch = this.#stretches[i]
      // Bytes whose age is not known are as old as can be.
      if (!stretch || stretch.start > coveredTo) return true
      if (stretch.end <= coveredTo) continue
      if (nowMs - stretch.receivedMs > maxAgeMs) return true
      coveredTo = stretch.end
    }
    return false
  }

  /** Only what is still free can be asked for its age. */
  #forgetStretches(): void {
    const from = this.#free[0]?.start ?? this.#usableBytes
    while ((this.#stretches[this.#firstStretch]?.end ?? Infinity) <= from) this.#firstStretch += 1
    if (this.#firstStretch < 1024 || this.#firstStretch * 2 < this.#stretches.length) return
    this.#stretches = this.#stretches.slice(this.#firstStretch)
    this.#firstStretch = 0
  }
}
