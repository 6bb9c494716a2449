import { randomBytes, randomFillSync } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import type { Clock, Random } from '../ports/clock.ts'

/** The machine's clocks. Timers do not keep the process alive: listeners do. */
export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs)
    timer.unref()
    return () => {
      clearTimeout(timer)
    }
  },
}

/** Longer than every name and nonce; keys are as long, and come from the generator one by one. */
const MOST_POOLED_BYTES = 16
const POOL_BYTES = 4096

/**
 * OpenSSL's generator. Names and nonces are drawn from it by the page: a call for each costs more than
 * all the rest of making one. What is handed out is erased from the page.
 */
class SystemRandom implements Random {
  readonly #pool = Buffer.alloc(POOL_BYTES)
  #used = POOL_BYTES

  bytes(lengthBytes: number): Buffer {
    if (lengthBytes > MOST_POOLED_BYTES) return randomBytes(lengthBytes)
    if (this.#used + lengthBytes > POOL_BYTES) {
      randomFillSync(this.#pool)
      this.#used = 0
    }
    const drawn = this.#pool.subarray(this.#used, this.#used + lengthBytes)
    const bytes = Buffer.from(drawn)
    drawn.fill(0)
    this.#used += lengthBytes
    return bytes
  }
}

export const systemRandom: Random = new SystemRandom()
