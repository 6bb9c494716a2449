import { KmeError } from '../../errors.ts'
import type { Epoch, LaneName, LaneState } from '../../model/lane.ts'
import type { LinkId } from '../../model/ids.ts'
import type { LaneStretch } from '../../ports/lane-store.ts'
import {
  addRange,
  contains,
  lengthOf,
  missingFrom,
  removeRange,
  type Range,
} from '../../model/range.ts'
import { wipe } from '../../support/wipe.ts'
import { CHUNK_BYTES, type ChunkKey, type StoreTx } from '../store-tx.ts'

interface OpenChunk {
  readonly key: ChunkKey
  /** Null: there is no such chunk. */
  readonly bytes: Buffer | null
  readonly changed: boolean
}

/** The part of a range that lies in one chunk. */
interface Span {
  readonly number: number
  readonly start: number
  readonly end: number
}

/**
 * The lanes of a link while one operation changes them. Each touched chunk is opened once and
 * sealed once, however many ranges of it are taken.
 */
export class LaneEdit {
  readonly #tx: StoreTx
  readonly #linkId: LinkId
  readonly #epoch: Epoch | null
  readonly #states = new Map<LaneName, LaneState>()
  readonly #changedStates = new Set<LaneName>()
  readonly #chunks = new Map<string, OpenChunk>()

  constructor(tx: StoreTx, linkId: LinkId, epoch: Epoch | null) {
    this.#tx = tx
    this.#linkId = linkId
    this.#epoch = epoch
  }

  state(lane: LaneName): LaneState {
    const known = this.#states.get(lane)
    if (known) return known
    const state = this.#tx.readLane(this.#linkId, lane)
    this.#states.set(lane, state)
    return state
  }

  /** All that was appended is durable at both ends; returns whether that is news. */
  makeUsable(lane: LaneName): boolean {
    const state = this.state(lane)
    if (state.usableBytes === state.appendedBytes) return false
    this.#setState(lane, { ...state, usableBytes: state.appendedBytes })
    return true
  }

  /** Copies the bytes to the end of the lane; null where there are none. */
  append(lane: LaneName, bytes: Buffer, receivedMs: number): LaneStretch | null {
    if (bytes.length === 0) return null
    const state = this.state(lane)
    const start = state.appendedBytes
    const end = start + bytes.length
    for (const span of spansOf({ start, end })) {
      this.#extendChunk(lane, span, bytes.subarray(span.start - start, span.end - start))
    }
    this.#setState(lane, { ...state, appendedBytes: end })
    const stretch = { lane, start, end, receivedMs }
    this.#tx.deleteStretches(this.#linkId, lane, firstFree(state))
    this.#tx.insertStretch(this.#linkId, stretch)
    return stretch
  }

  /** The range, of which no byte is consumed or granted, is the other end's to allocate from. */
  grant(lane: LaneName, range: Range): void {
    const state = this.state(lane)
    this.#setState(lane, { ...state, granted: addRange(state.granted, range) })
  }

  /** Consumes a free range: its bytes leave the lane. The caller wipes them. */
  take(lane: LaneName, range: Range): Buffer {
    const taken = Buffer.alloc(lengthOf(range))
    try {
      for (const { number, start, end } of spansOf(range)) {
        const bytes = this.#requireChunk(lane, number)
        const base = number * CHUNK_BYTES
        bytes.copy(taken, start - range.start, start - base, end - base)
      }
      this.erase(lane, range)
      return taken
    } catch (error) {
      wipe(taken)
      throw error
    }
  }

  /** Consumes what is free of the range and erases it; returns how many bytes that were. */
  erase(lane: LaneName, range: Range): number {
    const state = this.state(lane)
    const free = missingFrom(state.consumed, range)
    if (free.length === 0) return 0
    this.#setState(lane, {
      ...state,
      consumed: addRange(state.consumed, range),
      granted: removeRange(state.granted, range),
    })
    for (const run of free) for (const span of spansOf(run)) this.#eraseSpan(lane, span)
    return free.reduce((sum, run) => sum + lengthOf(run), 0)
  }

  save(): void {
    for (const { key, bytes, changed } of this.#chunks.values()) {
      if (!changed) continue
      if (bytes) this.#tx.writeChunk(key, bytes)
      else this.#tx.deleteChunk(key)
    }
    for (const lane of this.#changedStates) this.#tx.writeLane(this.#linkId, lane, this.state(lane))
    this.wipe()
    this.#changedStates.clear()
    this.#states.clear()
  }

  wipe(): void {
    for (const { bytes } of this.#chunks.values()) wipe(bytes)
    this.#chunks.clear()
  }

  #setState(lane: LaneName, state: LaneState): void {
    this.#states.set(lane, state)
    this.#changedStates.add(lane)
  }

  #eraseSpan(lane: LaneName, { number, start, end }: Span): void {
    const { appendedBytes, consumed } = this.state(lane)
    const base = number * CHUNK_BYTES
    const whole = { start: base, end: Math.min(base + CHUNK_BYTES, appendedBytes) }
    if (contains(consumed, whole)) this.#setChunk(lane, number, null)
    else {
      const bytes = this.#requireChunk(lane, number)
      bytes.fill(0, start - base, end - base)
      this.#chunks.set(idOf(lane, number), { key: this.#key(lane, number), bytes, changed: true })
    }
  }

  #extendChunk(lane: LaneName, { number, start }: Span, added: Buffer): void {
    const within = start - number * CHUNK_BYTES
    // All of its beginning may be consumed: then there is none.
    const before = within > 0 ? this.#openChunk(lane, number) : null
    if (before && before.length !== within) throw corrupt(this.#linkId, lane, number)
    const bytes = Buffer.alloc(within + added.length)
    before?.copy(bytes)
    added.copy(bytes, within)
    this.#setChunk(lane, number, bytes)
  }

  #setChunk(lane: LaneName, number: number, bytes: Buffer | null): void {
    const id = idOf(lane, number)
    wipe(this.#chunks.get(id)?.bytes)
    this.#chunks.set(id, { key: this.#key(lane, number), bytes, changed: true })
  }

  #requireChunk(lane: LaneName, number: number): Buffer {
    const bytes = this.#openChunk(lane, number)
    const { appendedBytes } = this.state(lane)
    const length = Math.min(CHUNK_BYTES, appendedBytes - number * CHUNK_BYTES)
    if (bytes?.length !== length) throw corrupt(this.#linkId, lane, number)
    return bytes
  }

  #openChunk(lane: LaneName, number: number): Buffer | null {
    const id = idOf(lane, number)
    const open = this.#chunks.get(id)
    if (open) return open.bytes
    const key = this.#key(lane, number)
    const bytes = this.#tx.readChunk(key)
    this.#chunks.set(id, { key, bytes, changed: false })
    return bytes
  }

  #key(lane: LaneName, number: number): ChunkKey {
    if (!this.#epoch) throw new KmeError('NOT_READY', `link ${this.#linkId} has no epoch yet`)
    return { linkId: this.#linkId, epoch: this.#epoch, lane, number }
  }
}

const idOf = (lane: LaneName, number: number): string => `${lane}/${number}`

const firstFree = ({ consumed }: LaneState): number => {
  const [first] = consumed
  return first?.start === 0 ? first.end : 0
}

const corrupt = (linkId: LinkId, lane: LaneName, number: number): KmeError =>
  new KmeError(
    'STORE_CORRUPT',
    `link ${linkId}: chunk ${number} of the ${lane}'s lane is not whole`,
  )

const spansOf = (range: Range): readonly Span[] => {
  const spans: Span[] = []
  for (let start = range.start; start < range.end;) {
    const number = Math.floor(start / CHUNK_BYTES)
    const end = Math.min(range.end, (number + 1) * CHUNK_BYTES)
    spans.push({ number, start, end })
    start = end
  }
  return spans
}
