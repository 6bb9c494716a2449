import type { Clock } from '../ports/clock.ts'
import type { LaneStore } from '../ports/lane-store.ts'
import type { Observer } from '../ports/observer.ts'
import { Loop } from '../support/loop.ts'
import { messageOf } from '../errors.ts'

export interface EpochSweepParts {
  readonly store: Pick<LaneStore, 'sweepEnded'>
  readonly clock: Clock
  readonly observer: Observer
}

/** One step erases so many rows, a page each: deliveries go on between two steps. */
const STEP_ROWS = 256
/** Between two steps, so that a large store takes no more than a share of the disk. */
const PAUSE_MS = 20
const LOOK_EVERY_MS = 5_000

/**
 * Erases what ended with an epoch. The transaction that begins an epoch only cuts it off: with
 * millions of keys it would hold up everything else for seconds.
 */
export class EpochSweep implements AsyncDisposable {
  readonly #loop: Loop

  constructor({ store, clock, observer }: EpochSweepParts) {
    this.#loop = new Loop({
      clock,
      pass: async () => ((await store.sweepEnded(STEP_ROWS)) ? PAUSE_MS : LOOK_EVERY_MS),
      failed: (error) => {
        observer.event({
          level: 'warn',
          name: 'epoch.sweep.failed',
          message: `rows of an epoch that ended are not erased yet; trying again: ${messageOf(error)}`,
        })
        return LOOK_EVERY_MS
      },
    })
  }

  start(): void {
    this.#loop.start()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#loop.stop()
  }
}
