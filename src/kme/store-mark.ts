import type { Clock } from '../ports/clock.ts'
import type { Moment } from '../model/moment.ts'
import type { Observer } from '../ports/observer.ts'
import type { Store } from '../stores/store.ts'
import { messageOf } from '../errors.ts'
import { Loop } from '../support/loop.ts'
import {
  findCopiedBack,
  markOf,
  markPathOf,
  readMark,
  writeMark,
  type Mark,
} from '../stores/sqlite/mark-file.ts'

const MARK_EVERY_MS = 1_000

export interface StoreMarkParts {
  readonly storePath: string
  readonly store: Store
  readonly clock: Clock
  readonly now: () => Moment
  readonly observer: Observer
}

/**
 * Keeps a mark beside the store's file, by which a file that was copied back by hand is noticed at
 * the next start, also where both ends of a link were. What is younger than the mark it cannot show.
 */
export class StoreMark implements AsyncDisposable {
  readonly #parts: StoreMarkParts
  readonly #path: string
  readonly #loop: Loop
  #written = ''
  #lastFault = ''

  /** Compares the store with its mark, before anything uses it; then marks it from time to time. */
  static async open(parts: StoreMarkParts): Promise<StoreMark> {
    const mark = new StoreMark(parts)
    await mark.#compare()
    await mark.#write()
    mark.#loop.start()
    return mark
  }

  private constructor(parts: StoreMarkParts) {
    this.#parts = parts
    this.#path = markPathOf(parts.storePath)
    this.#loop = new Loop({
      clock: parts.clock,
      pass: async () => {
        await this.#write()
        return MARK_EVERY_MS
      },
      failed: () => MARK_EVERY_MS,
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#loop.stop()
    await this.#write()
  }

  async #compare(): Promise<void> {
    const { store, storePath, observer, now } = this.#parts
    const standing = await store.readStanding()
    const mark = await this.#read()
    if (!mark) {
      if (standing.links.some(({ life }) => life > 0)) {
        this.#warn(`store ${storePath} has no mark: should it be an old copy, only peers can tell`)
      }
      return
    }
    const reason = findCopiedBack(mark, standing)
    if (reason === null) return
    observer.alarm({
      name: 'self-restored',
      severity: 'major',
      message: `store ${storePath} was put back or replaced: ${reason}; what it held is dropped, and every link begins an epoch with new key`,
    })
    await store.becomeRestored(standing.generation, now())
  }

  async #read(): Promise<Mark | null> {
    try {
      return await readMark(this.#path)
    } catch (error) {
      this.#warn(`the mark ${this.#path} cannot be read and is made anew: ${messageOf(error)}`)
      return null
    }
  }

  /** A full disk must not stop the KME: the mark is only older then. */
  async #write(): Promise<void> {
    try {
      const mark = markOf(await this.#parts.store.readStanding())
      const text = JSON.stringify(mark)
      if (text === this.#written) return
      await writeMark(this.#path, mark)
      this.#written = text
      this.#lastFault = ''
    } catch (error) {
      const fault = messageOf(error)
      if (fault !== this.#lastFault) {
        this.#warn(`the mark ${this.#path} is not written: ${fault}`)
      }
      this.#lastFault = fault
    }
  }

  #warn(message: string): void {
    this.#parts.observer.event({ level: 'warn', name: 'store.mark', message })
  }
}
