import type { DeviceId, Generation, LinkId } from '../model/ids.ts'
import type { Moment } from '../model/moment.ts'
import type { Random } from '../ports/clock.ts'
import type { OwnWrite, StoreStanding } from '../ports/lane-store.ts'
import type { CommitQueue } from './commit-queue.ts'
import * as restores from './operations/restores.ts'
import type { DeviceEnd } from './store-tx.ts'

/** The part of a store by which it is told from an older copy of itself, and goes on after it was one. */
export class RestorableStore {
  readonly #queue: CommitQueue
  readonly #random: Random
  readonly #listeners = new Set<() => void>()

  constructor(queue: CommitQueue, random: Random) {
    this.#queue = queue
    this.#random = random
  }

  async becomeRestored(found: Generation, moment: Moment): Promise<void> {
    const became = await this.#queue.run((tx) =>
      restores.becomeRestored(tx, this.#random, found, moment),
    )
    if (became) for (const listener of [...this.#listeners]) listener()
  }

  onRestored(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  readStanding(): Promise<StoreStanding> {
    return this.#queue.run(restores.readStanding)
  }

  mustOpenAfresh(linkId: LinkId, deviceId: DeviceId, end: DeviceEnd): Promise<boolean> {
    return this.#queue.run((tx) => restores.mustOpenAfresh(tx, linkId, deviceId, end))
  }

  markOpenedAfresh(write: OwnWrite, deviceId: DeviceId, end: DeviceEnd): Promise<void> {
    return this.#queue.run((tx) => {
      restores.markOpenedAfresh(tx, write, deviceId, end)
    })
  }
}
