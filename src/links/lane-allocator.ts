import {
  addRange,
  addRanges,
  coveredBytes,
  lengthOf,
  presentIn,
  removeRange,
  removeRanges,
} from '../model/range.ts'
import { LEAST_GRANT_BYTES, freeForOwner } from '../model/lane.ts'
import type { LaneName, LaneState } from '../model/lane.ts'
import { LaneAges } from './lane-ages.ts'
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

/** Grants are cut so that keys of usual sizes leave no rest before them. */
const GRANT_STEP_BYTES = 512
/** With so many runs of free bytes, none is cut for a grant any more. */
const MANY_RUNS = 16

/**
 * The bytes of a lane that this KME may take, in memory: of a lane that it owns what is free and not
 * granted, of the other what was granted to it. What is taken never comes back in a life of the
 * link, whatever becomes of it: the store holds what was durably consumed or granted, and a new life
 * starts from that. Only bytes that are durable at both ends are free.
 */
export class LaneAllocator {
  readonly lane: LaneName
  readonly #isOwner: boolean
  #free: RangeSet
  #usableBytes: number
  readonly #ages: LaneAges
  /** Too old to be delivered; the store has not dropped them yet. */
  #aged: RangeSet = []

  constructor(
    lane: LaneName,
    state: LaneState,
    stretches: readonly LaneStretch[],
    role: 'owner' | 'grantee' = 'owner',
  ) {
    this.lane = lane
    this.#isOwner = role === 'owner'
    this.#usableBytes = state.usableBytes
    this.#free = this.#isOwner ? freeForOwner(state) : state.granted
    this.#ages = new LaneAges(this.#isOwner ? stretches : partsIn(stretches, this.#free))
  }

  /** Bytes that can be taken now. */
  get freeBytes(): number {
    return coveredBytes(this.#free)
  }

  /** How many keys of that length could be taken, each whole. */
  countKeys(keyLengthBytes: number): number {
    return this.#free.reduce((sum, run) => sum + Math.floor(lengthOf(run) / keyLengthBytes), 0)
  }

  /** Of a lane of our own more became usable; the new stretches tell when it was received. */
  extend(usableBytes: number, appended: readonly LaneStretch[]): void {
    if (!this.#isOwner) return
    this.#ages.add(appended)
    if (usableBytes <= this.#usableBytes) return
    this.#free = addRange(this.#free, { start: this.#usableBytes, end: usableBytes })
    this.#usableBytes = usableBytes
  }

  /** More of the other's lane was granted. */
  addGrant(added: RangeSet, stretches: readonly LaneStretch[]): void {
    this.#free = addRanges(this.#free, added)
    this.#ages.add(partsIn(stretches, added))
  }

  /** The next free bytes, oldest first. */
  take(request: AllocationRequest): Allocation {
    const run = this.#free.find((free) => lengthOf(free) >= request.lengthBytes)
    if (!run) return { outcome: 'short' }
    const range = { start: run.start, end: run.start + request.lengthBytes }
    const { maxAgeMs, nowMs } = request
    if (maxAgeMs !== null && this.#ages.isOlder(range, nowMs - maxAgeMs)) {
      return { outcome: 'too-old' }
    }
    this.#remove(range)
    return { outcome: 'taken', range }
  }

  /**
   * Takes bytes to be granted, about so many, from the end of what is free; null where no run of
   * free bytes is long enough for a grant.
   */
  takeForGrant(lengthBytes: number): Range | null {
    const run = this.#free.findLast((free) => lengthOf(free) >= LEAST_GRANT_BYTES)
    if (!run) return null
    const start = this.#free.length < MANY_RUNS ? grantStart(run, lengthBytes) : run.start
    const range = { start, end: run.end }
    this.#remove(range)
    return range
  }

  /** What was received before `sinceMs` can be taken no more. */
  retire(sinceMs: number): void {
    for (const range of this.#ages.takeOlder(sinceMs)) {
      this.#aged = addRanges(this.#aged, presentIn(this.#free, range))
      this.#free = removeRange(this.#free, range)
    }
  }

  /** Hands out retired bytes, each once, at most so many. */
  takeAged(mostBytes: number): RangeSet {
    const taken: Range[] = []
    let openBytes = mostBytes
    for (const { start, end } of this.#aged) {
      if (openBytes === 0) break
      const range = { start, end: Math.min(end, start + openBytes) }
      openBytes -= lengthOf(range)
      taken.push(range)
    }
    this.#aged = removeRanges(this.#aged, taken)
    return taken
  }

  /** When the oldest free bytes were received, or before that; Infinity where there are none. */
  get oldestMs(): number {
    return this.#ages.oldestMs
  }

  #remove(range: Range): void {
    this.#free = removeRange(this.#free, range)
    // Only what is still free can be asked for its age.
    this.#ages.forgetBelow(this.#free[0]?.start ?? this.#usableBytes)
  }
}

const grantStart = (run: Range, lengthBytes: number): number => {
  const wanted = run.end - Math.max(lengthBytes, LEAST_GRANT_BYTES)
  if (wanted <= run.start) return run.start
  const cut = Math.ceil(wanted / GRANT_STEP_BYTES) * GRANT_STEP_BYTES
  return run.end - cut >= LEAST_GRANT_BYTES ? cut : wanted
}

/** The stretches as far as they lie in the ranges. */
const partsIn = (stretches: readonly LaneStretch[], ranges: RangeSet): readonly LaneStretch[] =>
  stretches.flatMap((stretch) =>
    presentIn(ranges, stretch).map((part) => ({ ...stretch, ...part })),
  )
