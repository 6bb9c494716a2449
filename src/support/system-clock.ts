import { randomBytes } from 'node:crypto'
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

/** The operating system's generator. */
export const systemRandom: Random = { bytes: (lengthBytes) => randomBytes(lengthBytes) }
