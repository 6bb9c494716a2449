import { constants } from 'node:os'

const SIGNALS = ['SIGTERM', 'SIGINT'] as const
type StopSignal = (typeof SIGNALS)[number]

/** npm hands on the interrupt that the terminal has already sent: two so close together are one. */
const SAME_SIGNAL_MS = 1000
/** What shells make of a process that a signal ended. */
const SIGNAL_EXIT_BASE = 128

type SignalListener = (signal: StopSignal) => void

export interface SignalSource {
  on(signal: StopSignal, listener: SignalListener): unknown
  off(signal: StopSignal, listener: SignalListener): unknown
}

export interface StopSignalParts {
  /** Where signals come from: the process. */
  readonly source: SignalSource
  readonly monotonicMs: () => number
  readonly exit: (code: number) => void
}

/** The first SIGTERM or SIGINT asks for an orderly stop; another one, a second later, ends the process at once. */
export class StopSignals implements Disposable {
  readonly #parts: StopSignalParts
  /** Resolves with the first signal. */
  readonly first: Promise<StopSignal>
  #resolve: (signal: StopSignal) => void = () => undefined
  #firstMs: number | null = null

  constructor(parts: StopSignalParts) {
    this.#parts = parts
    this.first = new Promise((resolve) => {
      this.#resolve = resolve
    })
    for (const signal of SIGNALS) parts.source.on(signal, this.#heard)
  }

  [Symbol.dispose](): void {
    for (const signal of SIGNALS) this.#parts.source.off(signal, this.#heard)
  }

  readonly #heard = (signal: StopSignal): void => {
    const nowMs = this.#parts.monotonicMs()
    this.#firstMs ??= nowMs
    this.#resolve(signal)
    if (nowMs - this.#firstMs > SAME_SIGNAL_MS) {
      this.#parts.exit(SIGNAL_EXIT_BASE + constants.signals[signal])
    }
  }
}
