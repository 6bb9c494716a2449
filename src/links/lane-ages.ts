import type { LaneStretch } from '../ports/lane-store.ts'
import type { Range, RangeSet } from '../model/range.ts'

/** Bytes that were received within so short a time are as old as the first of them. */
const TOGETHER_MS = 1000

/** When the free bytes of a lane were received: stretches that do not overlap, in rising order. */
export class LaneAges {
  #stretches: LaneStretch[]
  /** Those before it hold nothing free any more. */
  #first = 0
  #oldestMs: number

  constructor(stretches: readonly LaneStretch[]) {
    this.#stretches = [...stretches]
    this.#oldestMs = oldestOf(stretches)
  }

  /** When the oldest bytes were received; Infinity where there are none. */
  get oldestMs(): number {
    return this.#oldestMs
  }

  /** Stretches that overlap none that is known; mostly they follow the last one. */
  add(stretches: readonly LaneStretch[]): void {
    for (const stretch of stretches) {
      if (!this.#extendLast(stretch)) {
        this.#stretches.splice(this.#indexFrom(stretch.start), 0, stretch)
      }
      this.#oldestMs = Math.min(this.#oldestMs, stretch.receivedMs)
    }
  }

  /** Whether any byte of the range was received before `sinceMs`. Bytes whose age is not known are as old as can be. */
  isOlder(range: Range, sinceMs: number): boolean {
    let coveredTo = range.start
    for (let i = this.#indexAt(range.start); coveredTo < range.end; i += 1) {
      const stretch = this.#stretches[i]
      if (!stretch || stretch.start > coveredTo || stretch.receivedMs < sinceMs) return true
      coveredTo = stretch.end
    }
    return false
  }

  /** Forgets, and returns, what was received before `sinceMs`. */
  takeOlder(sinceMs: number): RangeSet {
    if (this.#oldestMs >= sinceMs) return []
    const known = this.#stretches.slice(this.#first)
    this.#first = 0
    this.#stretches = known.filter(({ receivedMs }) => receivedMs >= sinceMs)
    this.#oldestMs = oldestOf(this.#stretches)
    return known
      .filter(({ receivedMs }) => receivedMs < sinceMs)
      .map(({ start, end }) => ({ start, end }))
  }

  /** Nothing below the offset is free any more. */
  forgetBelow(offset: number): void {
    const from = this.#first
    while ((this.#stretches[this.#first]?.end ?? Infinity) <= offset) this.#first += 1
    if (this.#first === from) return
    if (this.#first >= 1024 && this.#first * 2 >= this.#stretches.length) {
      this.#stretches = this.#stretches.slice(this.#first)
      this.#first = 0
    }
    // What was forgotten may have been the oldest: a bound that is too low costs one more look.
    if (this.#first === this.#stretches.length) this.#oldestMs = Infinity
  }

  #extendLast({ lane, start, end, receivedMs }: LaneStretch): boolean {
    const last = this.#first < this.#stretches.length ? this.#stretches.at(-1) : undefined
    const joins = last?.end === start && Math.abs(last.receivedMs - receivedMs) <= TOGETHER_MS
    if (!joins) return false
    const together = { lane, start: last.start, end }
    this.#stretches[this.#stretches.length - 1] = {
      ...together,
      receivedMs: Math.min(last.receivedMs, receivedMs),
    }
    return true
  }

  /** The stretch that covers the offset, or the next one. */
  #indexAt(offset: number): number {
    const next = this.#indexFrom(offset + 1)
    const before = next > this.#first ? this.#stretches[next - 1] : undefined
    return before && before.end > offset ? next - 1 : next
  }

  /** The first stretch that starts at the offset or after it. */
  #indexFrom(offset: number): number {
    let low = this.#first
    let high = this.#stretches.length
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      if ((this.#stretches[middle]?.start ?? Infinity) < offset) low = middle + 1
      else high = middle
    }
    return low
  }
}

const oldestOf = (stretches: readonly LaneStretch[]): number =>
  stretches.reduce((oldest, { receivedMs }) => Math.min(oldest, receivedMs), Infinity)
