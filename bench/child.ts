import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import type { MemoryReading, ProbeAnswer, ProbeRequest, StallReading } from './probe.ts'

/** Ends a child whose pipe to this process closes, however this process ended. */
const END_WITH_PARENT = new URL('../src/demo/end-with-parent.ts', import.meta.url).href
const PROBE = new URL('./probe.ts', import.meta.url).href
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
  /** The benchmark wants it to end. */
  #asked = false

  constructor({ name, execArgv = [], script, args, logFile }: ChildOptions) {
    this.name = name
    this.#logFile = logFile
    const log = openSync(logFile, 'a', 0o600)
    try {
      // A process group of its own: Ctrl-C is for the benchmark, which then ends its children in order.
      this.#process = spawn(
        process.execPath,
        ['--import', END_WITH_PARENT, '--import', PROBE, ...execArgv, script, ...args],
        { stdio: ['pipe', log, log, 'ipc'], detached: true },
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

  /** Should it end by itself, the benchmark ends with it. */
  endsBenchmark(stop: AbortController): void {
    void this.ended.then(async () => {
      if (!this.#asked) stop.abort(await this.failure())
    })
  }

  /** From now on until `stalls` its event loop is watched. */
  async watch(): Promise<void> {
    await this.#ask('watch')
  }

  /** What was seen since `watch`. */
  async stalls(): Promise<StallReading> {
    return (await this.#ask('stalls')) as StallReading
  }

  /** Its memory, before or after garbage was collected. */
  async memory(when: 'as-it-is' | 'collected'): Promise<MemoryReading> {
    return (await this.#ask(when === 'collected' ? 'collect' : 'memory')) as MemoryReading
  }

  /** The next message that it sends. @throws Error where it ends before */
  async message(): Promise<unknown> {
    const message = Promise.withResolvers<unknown>()
    this.#process.once('message', message.resolve)
    try {
      return await Promise.race([
        message.promise,
        this.ended.then(async () => {
          throw await this.failure()
        }),
      ])
    } finally {
      this.#process.off('message', message.resolve)
    }
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
    this.#asked = true
    if (!this.#running) return
    this.#process.kill('SIGTERM')
    const timer = setTimeout(() => {
      this.#process.kill('SIGKILL')
    }, STOP_MS)
    await this.ended
    clearTimeout(timer)
  }

  async #ask(request: ProbeRequest): Promise<ProbeAnswer> {
    const answer = this.message()
    this.#process.send(request)
    return (await answer) as ProbeAnswer
  }
}
