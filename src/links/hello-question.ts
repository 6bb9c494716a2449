import type { Clock } from '../ports/clock.ts'

/** After so long without an answer another question is asked: the first, or its answer, may be lost. */
const ASK_AGAIN_MS = 2_000
/** The peer was heard meanwhile: what was asked before that long it has not got. */
const SURELY_LOST_MS = 500

/**
 * One question after another until one of them is answered or fails. An answer that takes longer
 * than the pause between two still counts, so a slow peer is only asked once more than it need be.
 */
export class HelloQuestion<Answer> {
  readonly #clock: Clock
  readonly #ask: () => Promise<Answer>
  #askedMs = 0
  #askAgain: (() => void) | null = null

  constructor(clock: Clock, ask: () => Promise<Answer>) {
    this.#clock = clock
    this.#ask = ask
  }

  /** Asks; not while it waits for an answer already. */
  async answer(): Promise<Answer> {
    let cancel = (): void => undefined
    try {
      return await new Promise<Answer>((resolve, reject) => {
        const ask = (): void => {
          cancel()
          this.#askedMs = this.#clock.monotonicMs()
          cancel = this.#clock.after(ASK_AGAIN_MS, ask)
          this.#ask().then(resolve, reject)
        }
        this.#askAgain = ask
        ask()
      })
    } finally {
      this.#askAgain = null
      cancel()
    }
  }

  /** The peer is there: asks again now where the answer is overdue. */
  heardFromPeer(): void {
    const sinceMs = this.#clock.monotonicMs() - this.#askedMs
    if (this.#askAgain !== null && sinceMs >= SURELY_LOST_MS) this.#askAgain()
  }
}
