import type { Clock } from '../ports/clock.ts'

export interface LoopOptions {
  readonly clock: Clock
  /** Does what there is to do; returns in how many milliseconds to look again unless kicked, or null. */
  readonly pass: () => Promise<number | null>
  /** Called with what a pass threw; returns in how many milliseconds to try again. */
  readonly failed: (error: unknown) => number
}

/**
 * One worker that does what follows from the state: passes never overlap, a kick during a pass
 * leads to one more pass, and an idle loop costs nothing.
 */
export class Loop {
  readonly #options: LoopOptions
  #running: Promise<void> | null = null
  #kicked = false
  #cancelTimer: (() => void) | null = null
  #stopped = true

  constructor(options: LoopOptions) {
    this.#options = options
  }

  start(): void {
    if (!this.#stopped) return
    this.#stopped = false
    this.kick()
  }

  /** There may be something to do. */
  kick(): void {
    this.#kicked = true
    if (this.#stopped || this.#running) return
    this.#running = this.#run().finally(() => {
      this.#running = null
      // Kicked between the last look and here.
      if (this.#kicked && !this.#stopped) this.kick()
    })
  }

  /** Resolves when the pass under way has ended; no other follows. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#clearTimer()
    await this.#running
  }

  async #run(): Promise<void> {
    while (this.#kicked && !this.#stopped) {
      this.#kicked = false
      this.#clearTimer()
      const again = await this.#pass()
      if (again === 0) this.#kicked = true
      else if (again !== null && !this.#isStopped()) this.#schedule(again)
    }
  }

  // Behind a method: the value may have changed during an await, which narrowing does not know.
  #isStopped(): boolean {
    return this.#stopped
  }

  async #pass(): Promise<number | null> {
    try {
      return await this.#options.pass()
    } catch (error) {
      return this.#options.failed(error)
    }
  }

  #schedule(delayMs: number): void {
    this.#clearTimer()
    this.#cancelTimer = this.#options.clock.after(delayMs, () => {
      this.kick()
    })
  }

  #clearTimer(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = null
  }
}
