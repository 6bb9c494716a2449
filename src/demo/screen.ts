import { stripVTControlCharacters } from 'node:util'

/** Where the demo writes for people. */
export interface DemoScreen {
  /** A line that stays. */
  line(text: string): void
  /** Lines that show how things are now, in the place of those shown before. */
  live(lines: readonly string[]): void
}

/** What of a terminal is needed. */
export interface TerminalStream {
  readonly columns?: number | undefined
  write(text: string): unknown
}

const DEFAULT_COLUMNS = 80
const UP_AND_CLEAR = '\x1b[1A\x1b[2K'

/** A terminal: the live lines are rewritten in place. */
export class TerminalScreen implements DemoScreen {
  readonly #stream: TerminalStream
  #shown = 0

  constructor(stream: TerminalStream) {
    this.#stream = stream
  }

  line(text: string): void {
    this.#stream.write(`${text}\n`)
    this.#shown = 0
  }

  live(lines: readonly string[]): void {
    // A line that wraps would be two, and the next rewriting would climb too low.
    const columns = Math.max(20, this.#stream.columns ?? DEFAULT_COLUMNS) - 1
    const fitting = lines.map((line) => stripVTControlCharacters(line).slice(0, columns))
    const text = fitting.map((line) => `${line}\n`).join('')
    this.#stream.write(`${UP_AND_CLEAR.repeat(this.#shown)}${text}`)
    this.#shown = lines.length
  }
}

const PLAIN_INTERVAL_MS = 10_000

/** A file or a pipe: the live lines are written now and then. */
export class PlainScreen implements DemoScreen {
  readonly #out: (line: string) => void
  readonly #nowMs: () => number
  #nextMs = -Infinity

  constructor(out: (line: string) => void, nowMs: () => number) {
    this.#out = out
    this.#nowMs = nowMs
  }

  line(text: string): void {
    this.#out(text)
    this.#nextMs = -Infinity
  }

  live(lines: readonly string[]): void {
    const nowMs = this.#nowMs()
    if (nowMs < this.#nextMs) return
    this.#nextMs = nowMs + PLAIN_INTERVAL_MS
    for (const line of lines) this.#out(line)
  }
}
