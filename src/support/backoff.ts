import type { Random } from '../ports/clock.ts'

export interface BackoffOptions {
  readonly random: Random
  readonly firstMs: number
  readonly mostMs: number
}

/** Exponential back-off with full jitter: many that fail together do not come back together. */
export class Backoff {
  readonly #options: BackoffOptions
  #failures = 0

  constructor(options: BackoffOptions) {
    this.#options = options
  }

  /** Milliseconds to wait after one more failure. */
  next(): number {
    const { random, firstMs, mostMs } = this.#options
    const ceilingMs = Math.min(mostMs, firstMs * 2 ** Math.min(this.#failures, 30))
    this.#failures += 1
    const fraction = random.bytes(4).readUInt32BE(0) / 2 ** 32
    return Math.max(1, Math.round(ceilingMs * fraction))
  }

  reset(): void {
    this.#failures = 0
  }
}
