import type { Clock } from '../../src/ports/clock.ts'

interface Timer {
  readonly dueMs: number
  readonly order: number
  readonly callback: () => void
}

/** Real turns of the event loop that promises and local I/O get after each step of the clock. */
const TURNS_PER_STEP = 4

const turn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve)
  })

/** Lets promises that are ready, and I/O that is, go on. */
export const settle = async (turns = TURNS_PER_STEP): Promise<void> => {
  for (let i = 0; i < turns; i += 1) await turn()
}

/** A clock that stands still until a test moves it. */
export class FakeClock implements Clock {
  #nowMs: number
  #wallOffsetMs: number
  #order = 0
  readonly #timers = new Set<Timer>()

  constructor(options: { readonly startMs?: number; readonly wallMs?: number } = {}) {
    this.#nowMs = options.startMs ?? 0
    this.#wallOffsetMs = (options.wallMs ?? Date.UTC(2030, 0, 1)) - this.#nowMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  wallMs(): number {
    return this.#nowMs + this.#wallOffsetMs
  }

  after(delayMs: number, callback: () => void): () => void {
    const dueMs = this.#nowMs + Math.max(0, delayMs)
    this.#order += 1
    const timer: Timer = { dueMs, order: this.#order, callback }
    this.#timers.add(timer)
    return () => {
      this.#timers.delete(timer)
    }
  }

  /** Timers that wait: 0 after everything was closed. */
  get pendingTimers(): number {
    return this.#timers.size
  }

  /** Sets the wall clock forward or back; running time knows nothing of it. */
  shiftWall(ms: number): void {
    this.#wallOffsetMs += ms
  }

  /** Moves time on without calling anything, as if the process slept: what is due is called later. */
  jump(ms: number): void {
    this.#nowMs += ms
  }

  /** Moves time on and calls what is due, in order, without letting any promise go on. */
  advance(ms: number): void {
    const end = this.#nowMs + ms
    for (let timer = this.#next(end); timer !== undefined; timer = this.#next(end))
      this.#fire(timer)
    this.#nowMs = end
  }

  /** Moves time on and lets promises and local I/O go on after each timer. */
  async advanceAsync(ms: number): Promise<void> {
    const end = this.#nowMs + ms
    await settle()
    for (let timer = this.#next(end); timer !== undefined; timer = this.#next(end)) {
      this.#fire(timer)
      await settle()
    }
    this.#nowMs = end
    await settle()
  }

  /**
   * Steps until the condition holds. Each step also waits for real time, so that sockets, files and
   * other processes get on. @throws when it does not come true
   */
  async until(
    condition: () => boolean,
    options: { readonly stepMs?: number; readonly steps?: number } = {},
  ): Promise<void> {
    const steps = options.steps ?? 3000
    for (let step = 0; step < steps; step += 1) {
      if (condition()) return
      await this.advanceAsync(options.stepMs ?? 50)
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    if (!condition())
      throw new Error(`no such thing happened in ${steps} steps: ${condition.toString()}`)
  }

  #next(endMs: number): Timer | undefined {
    let next: Timer | undefined
    for (const timer of this.#timers) {
      if (timer.dueMs > endMs) continue
      if (next === undefined || timer.dueMs < next.dueMs) next = timer
      else if (timer.dueMs === next.dueMs && timer.order < next.order) next = timer
    }
    return next
  }

  #fire(timer: Timer): void {
    this.#timers.delete(timer)
    this.#nowMs = Math.max(this.#nowMs, timer.dueMs)
    timer.callback()
  }
}
