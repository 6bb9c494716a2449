import type { LinkState, Session } from './link-state.ts'
import { isKmeError } from '../errors.ts'
import type { LinkParts } from './link-parts.ts'
import type { OwnLanes } from './own-lanes.ts'

/** What one commit drops: deliveries wait for it. */
const MOST_BYTES = 256 * 1024
const SHORTEST_WAIT_MS = 500
const LONGEST_WAIT_MS = 5000

export interface LaneAgingParts {
  readonly parts: LinkParts
  readonly state: LinkState
  readonly lanes: OwnLanes
  readonly greeter: { endLife(reason: string): void }
}

/**
 * Drops what this end allocates from and was received longer ago than the link's maximum age. No
 * delivery takes such bytes, whether they were dropped yet or not.
 */
export class LaneAging {
  readonly #with: LaneAgingParts

  constructor(parts: LaneAgingParts) {
    this.#with = parts
  }

  /** Returns in how many milliseconds to look again, 0 where there is more, null where nothing ever ages. */
  async pass(session: Session): Promise<number | null> {
    const { parts, state, lanes, greeter } = this.#with
    if (parts.settings.maxAgeMs === null) return null
    const { runningMs } = parts.now()
    const drops = lanes.takeAged(runningMs, MOST_BYTES)
    if (drops.length === 0) {
      const waitMs = lanes.nextAgedMs - runningMs
      return Math.min(LONGEST_WAIT_MS, Math.max(SHORTEST_WAIT_MS, waitMs))
    }
    try {
      state.learn(await parts.store.dropAged(state.ownWriteOf(session), drops))
    } catch (error) {
      // What was taken in memory cannot be taken back in this life.
      if (!isKmeError(error, 'LIFE_ENDED')) greeter.endLife('a commit of this KME failed')
      throw error
    }
    return 0
  }
}
