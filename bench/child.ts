import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'

/** Ends a child whose pipe to this process closes, however this process ended. */
const END_WITH_PARENT = new URL('../src/demo/end-with-parent.ts', import.meta.url).href
const STOP_MS = 20_000
const TAIL_LINES = 8

export interface ChildOptions {
  readonly name: string
  /** Options of the runtime. */
  readonly execArgv?: readonly string[]
  readonly script: string
  readonly args: readonly string[]
  /** Gets all that it writes. */
  readonly logFile: string
}

/** A process of this very Node. Disposing of it asks it to end, and kills it where it does not. */
export class Child implements AsyncDisposable {
  readonly name: string
  /** Resolves when it is gone, with how. */
  readonly ended: Promise<string>
  readonly #process: ChildProcess
  readonly #logFile: string
  #running = true

  constructor({ name, execArgv = [], script, args, logFile }: ChildOptions) {
    this.name = name
    this.#logFile = logFile
    const log = openSync(logFile, 'a', 0o600)
    try {
      // A process group of its own: Ctrl-C is for the benchmark, which then ends its children in order.
      this.#process = spawn(
        process.execPath,
        ['--import', END_WITH_PARENT, ...execArgv, script, ...args],
        { stdio: ['pipe', log, log], detached: true },
      )
    } finally {
      closeSync(log)
    }
    this.#process.stdin?.on('error', () => undefined)
    this.ended = new Promise((resolve) => {
      this.#process.once('error', (error) => {
        this.#running = false
        resolve(error.message)
      })
      this.#process.once('exit', (code, signal) => {
        this.#running = false
        resolve(signal ?? `exit code ${String(code)}`)
      })
    })
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  get isRunning(): boolean {
    return this.#running
  }

  /** What it wrote. */
  log(): string {
    return readFileSync(this.#logFile, 'utf8')
  }

  /** Why it is of no use any more, with the last lines that it wrote. */
  async failure(): Promise<Error> {
    const how = await this.ended
    const tail = this.log().trimEnd().split('\n').slice(-TAIL_LINES).join('\n')
    return new Error(`${this.name} ended with ${how}:\n${tail}`)
  }

  /** @throws Error where it ends otherwise than well */
  async succeed(): Promise<void> {
    if ((await this.ended) !== 'exit code 0') throw await this.failure()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#running) return
    this.#process.kill('SIGTERM')
    const timer = setTimeout(() => {
      this.#process.kill('SIGKILL')
    }, STOP_MS)
    await this.ended
    clearTimeout(timer)
  }
}
