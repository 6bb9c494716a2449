import { BITS_PER_BYTE, MS_PER_S } from '../../model/units.ts'
import type { Clock } from '../../ports/clock.ts'

/** A process that slept does not make up for more than this of real time. */
const MAX_CATCH_UP_MS = 5000

export interface MeterOptions {
  readonly blockBytes: number
  readonly speedUp: number
  readonly burst?: { readonly blocks: number; readonly everyS: number } | undefined
}

/**
 * Counts the secret bits that the device makes as virtual time passes, and says when a block is
 * full. Time that passed is counted, never ticks, so that late timers cost nothing.
 */
export class KeyMeter {
  readonly #clock: Clock
  readonly #options: MeterOptions
  readonly #blockBits: number
  #rateBps = 0
  #running = false
  #countedMs = 0
  /** Bits that fill no block yet. */
  #bits = 0
  /** Blocks of a burst that can be taken now. */
  #released = 0
  #sinceBurstS = 0

  constructor(clock: Clock, options: MeterOptions) {
    this.#clock = clock
    this.#options = options
    this.#blockBits = options.blockBytes * BITS_PER_BYTE
  }

  setRate(bps: number): void {
    this.#count()
    this.#rateBps = bps
  }

  /** Lets the device make key, or stops it: while it stands still no time counts. */
  run(running: boolean): void {
    this.#count()
    if (this.#running && !running) {
      this.#bits = Math.min(this.#bits, this.#blockBits)
      this.#released = 0
    }
    this.#running = running
  }

  /** Takes the bits of one block, if there are enough. */
  take(): boolean {
    this.#count()
    if (this.#options.burst !== undefined) {
      if (this.#released === 0) return false
      this.#released -= 1
      return true
    }
    if (this.#bits < this.#blockBits) return false
    this.#bits -= this.#blockBits
    return true
  }

  /** Real time until the next block may be taken; Infinity where none will come. */
  nextMs(): number {
    if (!this.#running || this.#rateBps <= 0) return Infinity
    const { burst, speedUp } = this.#options
    const virtualS =
      burst === undefined
        ? (this.#blockBits - this.#bits) / this.#rateBps
        : burst.everyS - this.#sinceBurstS
    return Math.max(0, (virtualS / speedUp) * MS_PER_S)
  }

  #count(): void {
    const nowMs = this.#clock.monotonicMs()
    const passedMs = Math.min(nowMs - this.#countedMs, MAX_CATCH_UP_MS)
    this.#countedMs = nowMs
    if (!this.#running) return
    const virtualS = (passedMs / MS_PER_S) * this.#options.speedUp
    this.#bits += this.#rateBps * virtualS
    this.#burst(virtualS)
  }

  /** What was made since the last burst comes at once; what its buffer does not hold is lost. */
  #burst(virtualS: number): void {
    const { burst } = this.#options
    if (burst === undefined) return
    this.#sinceBurstS += virtualS
    const bursts = Math.floor(this.#sinceBurstS / burst.everyS)
    if (bursts === 0) return
    this.#sinceBurstS -= bursts * burst.everyS
    const full = Math.floor(this.#bits / this.#blockBits)
    this.#bits -= full * this.#blockBits
    this.#released += Math.min(full, bursts * burst.blocks)
  }
}
