import type { Clock } from '../ports/clock.ts'
import type { DeliveryStore } from '../ports/delivery-store.ts'
import { Loop } from '../support/loop.ts'
import type { Moment } from '../model/moment.ts'
import type { Observer } from '../ports/observer.ts'
import { messageOf } from '../errors.ts'

export interface ExpiryParts {
  readonly store: Pick<DeliveryStore, 'expireDeliveries' | 'nextExpiry'>
  readonly clock: Clock
  readonly now: () => Moment
  readonly observer: Observer
}

/** A sweep shares the store with deliveries: it takes no long turn. */
const SWEEP_LIMIT = 256
/** Deliveries that came after the last look are noticed within this time. */
const LONGEST_WAIT_MS = 5000
/** Deliveries that expire one after the other end together: a sweep for each would be one commit for each. */
const SHORTEST_WAIT_MS = 500
const RETRY_MS = 5000

/**
 * Ends deliveries whose time to live is over, so that their bytes leave the store. The store itself
 * gives out no expired key; how soon a sweep follows is a matter of housekeeping only.
 */
export class DeliveryExpiry implements AsyncDisposable {
  readonly #parts: ExpiryParts
  readonly #loop: Loop
  #failing = false

  constructor(parts: ExpiryParts) {
    this.#parts = parts
    this.#loop = new Loop({
      clock: parts.clock,
      pass: () => this.#sweep(),
      failed: (error) => this.#failed(error),
    })
  }

  start(): void {
    this.#loop.start()
  }

  /** Resolves when the sweep under way has ended. */
  stop(): Promise<void> {
    return this.#loop.stop()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #sweep(): Promise<number> {
    const { store, now } = this.#parts
    const next = await store.nextExpiry()
    const waitMs = next === null ? LONGEST_WAIT_MS : next - now().runningMs
    const ended = waitMs > 0 ? 0 : await store.expireDeliveries(now(), SWEEP_LIMIT)
    this.#failing = false
    if (ended === SWEEP_LIMIT) return 0
    return Math.min(Math.max(waitMs, SHORTEST_WAIT_MS), LONGEST_WAIT_MS)
  }

  #failed(error: unknown): number {
    if (!this.#failing) {
      this.#parts.observer.event({
        level: 'error',
        name: 'delivery.expiry.failed',
        message: `expired keys could not be erased; trying again: ${messageOf(error)}`,
      })
    }
    this.#failing = true
    return RETRY_MS
  }
}
