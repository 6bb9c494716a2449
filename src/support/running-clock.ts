import { messageOf } from '../errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { LaneStore } from '../ports/lane-store.ts'
import type { Moment } from '../model/moment.ts'
import type { Observer } from '../ports/observer.ts'
import { Loop } from './loop.ts'

export interface RunningClockParts {
  readonly store: Pick<LaneStore, 'readRunningTime' | 'saveRunningTime'>
  readonly clock: Clock
  readonly observer: Observer
  /** How often running time is saved; default 10 s. */
  readonly saveEveryMs?: number
}

const SAVE_EVERY_MS = 10_000

/**
 * The running time of a KME: what its store saved, and what has passed since. After a crash it
 * resumes up to one saving interval early, so that keys live longer for it, never shorter.
 */
export class RunningClock implements AsyncDisposable {
  readonly #parts: RunningClockParts
  readonly #baseMs: number
  readonly #saving: Loop
  #closing: Promise<void> | null = null

  /** Reads the time saved by earlier processes and goes on from there. */
  static async open(parts: RunningClockParts): Promise<RunningClock> {
    const savedMs = await parts.store.readRunningTime()
    return new RunningClock(parts, savedMs)
  }

  private constructor(parts: RunningClockParts, savedMs: number) {
    this.#parts = parts
    this.#baseMs = savedMs - parts.clock.monotonicMs()
    const saveEveryMs = parts.saveEveryMs ?? SAVE_EVERY_MS
    let first = true
    this.#saving = new Loop({
      clock: parts.clock,
      pass: async () => {
        // Nothing has passed yet when the loop starts.
        if (!first) await this.#save()
        first = false
        return saveEveryMs
      },
      failed: (error) => {
        this.#tell(error)
        return saveEveryMs
      },
    })
    this.#saving.start()
  }

  /** Both clocks in whole milliseconds. */
  readonly now = (): Moment => ({
    runningMs: Math.floor(this.#baseMs + this.#parts.clock.monotonicMs()),
    wallMs: Math.floor(this.#parts.clock.wallMs()),
  })

  /** Saves for the last time, while the store is still open. Idempotent; never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    await this.#saving.stop()
    try {
      await this.#save()
    } catch (error) {
      this.#tell(error)
    }
  }

  #save(): Promise<void> {
    return this.#parts.store.saveRunningTime(this.now().runningMs)
  }

  #tell(error: unknown): void {
    this.#parts.observer.event({
      level: 'warn',
      name: 'running-time.not-saved',
      message: `running time was not saved; keys may be kept longer after a crash: ${messageOf(error)}`,
    })
  }
}
