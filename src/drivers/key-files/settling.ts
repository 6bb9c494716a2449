import type { Clock } from '../../ports/clock.ts'
import { sameFacts, type FileFacts } from './files.ts'

interface Look {
  readonly facts: FileFacts
  readonly sinceMs: number
}

/**
 * Tells complete files from those that are still being written: a file is complete once two looks,
 * `settleMs` apart or more, found it the same and none in between found it changed.
 */
export class Settling {
  readonly #clock: Clock
  readonly #settleMs: number
  #looks = new Map<string, Look>()

  constructor(clock: Clock, settleMs: number) {
    this.#clock = clock
    this.#settleMs = settleMs
  }

  /**
   * Takes a look at all files of the folder and returns the complete ones, in their order. `fromMs`
   * is when the look began: on a slow disk it takes long, and both its ends count against a file.
   */
  look(files: readonly FileFacts[], fromMs: number): readonly FileFacts[] {
    const nowMs = this.#clock.monotonicMs()
    const looks = new Map<string, Look>()
    for (const facts of files) {
      const last = this.#looks.get(facts.name)
      const isSame = last !== undefined && sameFacts(last.facts, facts)
      looks.set(facts.name, { facts, sinceMs: isSame ? last.sinceMs : nowMs })
    }
    this.#looks = looks
    return files.filter(({ name, sizeBytes }) => sizeBytes > 0 && this.#restMs(name, fromMs) <= 0)
  }

  /** Time until the next file may be complete; Infinity where none is being written. */
  nextMs(): number {
    const nowMs = this.#clock.monotonicMs()
    const rests = [...this.#looks.keys()].map((name) => this.#restMs(name, nowMs))
    return rests.reduce((least, rest) => (rest > 0 && rest < least ? rest : least), Infinity)
  }

  #restMs(name: string, atMs: number): number {
    const look = this.#looks.get(name)
    return look === undefined ? Infinity : look.sinceMs + this.#settleMs - atMs
  }
}
