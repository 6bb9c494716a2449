import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { KmeError, messageOf } from '../errors.ts'
import type { DemoSite } from './layout.ts'
import { lastMessage, readTail } from './log-tail.ts'
import type { Program } from './program.ts'

/** How long a KME may take to end its work before it is stopped hard. */
const STOP_MS = 20_000

const preload = (): string =>
  new URL(
    import.meta.url.endsWith('.ts') ? './end-with-parent.ts' : './end-with-parent.js',
    import.meta.url,
  ).href

/** One KME of the demo: `keyspring serve` in a process of its own. */
export class KmeProcess {
  readonly site: DemoSite
  /** Settles when the process ended: with what ended it. */
  readonly ended: Promise<string>
  readonly #child: ChildProcess
  #running = true

  private constructor(site: DemoSite, child: ChildProcess) {
    this.site = site
    this.#child = child
    // When the process is gone, writing to it is no error of its own.
    child.stdin?.on('error', () => undefined)
    this.ended = new Promise((resolve) => {
      child.once('error', (error) => {
        this.#running = false
        resolve(messageOf(error))
      })
      child.once('exit', (code, signal) => {
        this.#running = false
        resolve(signal === null ? `exit code ${String(code)}` : signal)
      })
    })
  }

  /** Starts it; what it says goes to its log file, from the beginning. */
  static start(site: DemoSite, { node, entry }: Program): KmeProcess {
    const log = openSync(site.logFile, 'w', 0o600)
    try {
      const args = ['--import', preload(), entry, 'serve', '-c', site.configFile]
      // A process group of its own: Ctrl-C is for the demo, which then ends its KMEs in order.
      const child = spawn(node, args, { stdio: ['pipe', log, log], detached: true })
      return new KmeProcess(site, child)
    } finally {
      closeSync(log)
    }
  }

  /** Throws as soon as the process has ended, with the last line of its log. */
  async failure(): Promise<never> {
    const how = await this.ended
    // Who is killed has no last words: what the log ends with is about something else.
    const said = how === 'SIGKILL' ? undefined : lastMessage(readTail(this.site.logFile))
    const why = said === undefined ? '' : `: ${said}`
    const where = `(its log: ${this.site.logFile})`
    throw new KmeError('INTERNAL', `${this.site.kmeId} ended with ${how}${why} ${where}`)
  }

  /** Asks it to end, and waits until it has; after a while, or at `hurry`, it is killed. */
  async stop(hurry: AbortSignal): Promise<void> {
    const kill = (): void => {
      if (this.#running) this.#child.kill('SIGKILL')
    }
    if (!this.#running) return
    this.#child.kill('SIGTERM')
    const timer = setTimeout(kill, STOP_MS)
    hurry.addEventListener('abort', kill, { once: true })
    if (hurry.aborted) kill()
    await this.ended
    clearTimeout(timer)
    hurry.removeEventListener('abort', kill)
  }
}
