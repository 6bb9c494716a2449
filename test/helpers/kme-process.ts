import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const ENTRY = fileURLToPath(new URL('../../bin/keyspring.js', import.meta.url))
/** Ends the KME when the pipe from this process closes: a run of tests that is killed leaves none behind. */
const END_WITH_PARENT = new URL('../../src/demo/end-with-parent.ts', import.meta.url).href

const STOP_MS = 30_000
const STACK_LINE = /^\s+at .+:\d+:\d+\)?$/

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** One line of the log of a KME. */
export interface LogLine {
  readonly level: string
  readonly event: string
  readonly message: string
  readonly fields?: Readonly<Record<string, unknown>>
}

const parseLogLine = (line: string): LogLine | null => {
  if (!line.startsWith('{')) return null
  try {
    return JSON.parse(line) as LogLine
  } catch {
    return null
  }
}

/** Collects whole lines of a stream, also the last one without an end. */
class Lines {
  readonly all: string[] = []
  #rest = ''

  add(text: string): void {
    const parts = (this.#rest + text).split('\n')
    this.#rest = parts.pop() ?? ''
    this.all.push(...parts)
  }

  end(): void {
    if (this.#rest !== '') this.all.push(this.#rest)
    this.#rest = ''
  }
}

export interface KmeProcessOptions {
  readonly endWithParent: boolean
  /** A command that runs the KME as its own process, such as `strace -D`. */
  readonly wrap?: readonly string[]
  /** Beside the environment of this process. */
  readonly env?: Readonly<Record<string, string>>
}

export interface CommandResult extends Ended {
  readonly out: readonly string[]
  readonly err: readonly string[]
}

/** A process of the `keyspring` command with the very Node that runs the tests. */
export class KmeProcess {
  /** Settles when the process is gone and all that it wrote was read. */
  readonly ended: Promise<Ended>
  readonly #child: ChildProcess
  readonly #out = new Lines()
  readonly #err = new Lines()
  #end: Ended | null = null
  #endsByItself = false

  constructor(args: readonly string[], { endWithParent, wrap = [], env = {} }: KmeProcessOptions) {
    const preload = endWithParent ? ['--import', END_WITH_PARENT] : []
    const [command = '', ...rest] = [...wrap, process.execPath, ...preload, ENTRY, ...args]
    const child = spawn(command, rest, {
      stdio: [endWithParent ? 'pipe' : 'ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    })
    this.#child = child
    child.stdin?.on('error', () => undefined)
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#out.add(text)
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#err.add(text)
    })
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => {
        this.#out.end()
        this.#err.end()
        this.#end = { code, signal }
        resolve(this.#end)
      })
    })
  }

  /** `keyspring serve -c FILE`; it ends with this process at the latest. */
  static serve(
    configFile: string,
    options: Omit<KmeProcessOptions, 'endWithParent'> = {},
  ): KmeProcess {
    return new KmeProcess(['serve', '-c', configFile], { ...options, endWithParent: true })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get isRunning(): boolean {
    return this.#end === null
  }

  /** Lines on standard output. */
  get out(): readonly string[] {
    return this.#out.all
  }

  /** Lines on standard error. */
  get err(): readonly string[] {
    return this.#err.all
  }

  /** What it has logged so far. */
  get log(): readonly LogLine[] {
    return this.err.map(parseLogLine).filter((line) => line !== null)
  }

  /** Sends the signal without waiting for what becomes of it. */
  signal(signal: NodeJS.Signals): void {
    if (signal === 'SIGKILL') this.expectEnd()
    this.#child.kill(signal)
  }

  /** From now on it is no complaint that it ends otherwise than in order. */
  expectEnd(): void {
    this.#endsByItself = true
  }

  /** Sends the signal and waits for the end; what ignores it for long is killed, and that is an error. */
  async end(signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL'): Promise<Ended> {
    if (this.#end) return this.#end
    this.signal(signal)
    const timer = setTimeout(() => {
      this.signal('SIGKILL')
    }, STOP_MS)
    const ended = await this.ended
    clearTimeout(timer)
    if (ended.signal === 'SIGKILL' && signal !== 'SIGKILL') {
      throw new Error(`the KME ignored ${signal}:\n${this.tail()}`)
    }
    return ended
  }

  /**
   * What no KME should write, whatever happens: stacks, warnings of the runtime, lines of level
   * `error` that the test did not call for, and an end by itself.
   */
  complaints(expected: readonly RegExp[] = []): readonly string[] {
    const bad = this.err.filter((line) => {
      const log = parseLogLine(line)
      const wrong = log === null ? isRuntimeNoise(line) : log.level === 'error'
      return wrong && !expected.some((pattern) => pattern.test(line))
    })
    const end = this.#end
    if (!end || this.#endsByItself || end.code === 0) return bad
    return [...bad, `ended with ${String(end.code ?? end.signal)}:\n${this.tail()}`]
  }

  /** The last lines of standard error, for the message of a failed test. */
  tail(): string {
    return this.err.slice(-12).join('\n')
  }
}

const isRuntimeNoise = (line: string): boolean =>
  STACK_LINE.test(line) || /^\(node:\d+\)|Warning:|unexpected error|Uncaught/.test(line)

/** Runs a command to its end. */
export const runKeyspring = async (...args: readonly string[]): Promise<CommandResult> => {
  const child = new KmeProcess(args, { endWithParent: false })
  const ended = await child.ended
  return { ...ended, out: child.out, err: child.err }
}
