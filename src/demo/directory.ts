import { chmod, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { KmeError, messageOf } from '../errors.ts'

/** What tells a demo's folder from any other; holds what the next start needs to know. */
const STATE_NAME = 'keyspring-demo.json'
/** Process number of the demo that runs in the folder. */
const LOCK_NAME = 'running.pid'

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  ENOTDIR: 'a file is in the way',
  EEXIST: 'a file is in the way',
}

const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : ''

const unusable = (dir: string, error: unknown): KmeError => {
  if (error instanceof KmeError) return error
  const reason = REASONS[codeOf(error)] ?? messageOf(error)
  return new KmeError(
    'USAGE',
    `${dir} cannot hold the demo: ${reason}; choose another with --dir`,
    {
      cause: error,
    },
  )
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // Somebody else's process is one, too.
    return codeOf(error) === 'EPERM'
  }
}

/** The folder that this demo, and no other, works in until it is disposed. */
export class DemoDirectory implements AsyncDisposable {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  /**
   * Makes the folder (0700) or takes the one of an earlier demo.
   * @throws KmeError USAGE: not writable, in use by another demo, or made by something else
   */
  static async claim(path: string): Promise<DemoDirectory> {
    try {
      await mkdir(path, { recursive: true, mode: 0o700 })
      await checkOwn(path)
      await chmod(path, 0o700)
      await lock(path)
      const directory = new DemoDirectory(path)
      if ((await directory.#state()) === undefined) await directory.#remember({})
      return directory
    } catch (error) {
      throw unusable(path, error)
    }
  }

  /** The ports that the last demo in this folder used; undefined at the first start. */
  async portBase(): Promise<number | undefined> {
    const state = await this.#state()
    if (typeof state !== 'object' || state === null || !('portBase' in state)) return undefined
    return typeof state.portBase === 'number' ? state.portBase : undefined
  }

  async rememberPortBase(portBase: number): Promise<void> {
    await this.#remember({ portBase })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(join(this.path, LOCK_NAME), { force: true })
  }

  /** Undefined where there is none, null where a crash left it unreadable: its defaults do then. */
  async #state(): Promise<unknown> {
    try {
      return JSON.parse(await readFile(join(this.path, STATE_NAME), 'utf8')) as unknown
    } catch (error) {
      return codeOf(error) === 'ENOENT' ? undefined : null
    }
  }

  async #remember(state: { readonly portBase?: number }): Promise<void> {
    const text = JSON.stringify({ what: 'made by keyspring demo', ...state })
    await writeFile(join(this.path, STATE_NAME), `${text}\n`)
  }
}

const checkOwn = async (path: string): Promise<void> => {
  const names = await readdir(path)
  const others = names.filter((name) => name !== LOCK_NAME)
  if (others.length === 0 || names.includes(STATE_NAME)) return
  throw new KmeError(
    'USAGE',
    `${path} holds other things than a demo: choose an empty or a new folder with --dir`,
  )
}

const lock = async (path: string): Promise<void> => {
  const file = join(path, LOCK_NAME)
  const write = (): Promise<void> => writeFile(file, `${String(process.pid)}\n`, { flag: 'wx' })
  try {
    await write()
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
    const pid = Number.parseInt(await readFile(file, 'utf8'), 10)
    if (pid > 0 && pid !== process.pid && isAlive(pid)) {
      throw new KmeError(
        'USAGE',
        `a demo runs in ${path} already (process ${String(pid)}): stop it, or give this one its own --dir and --port-base; if that process is no demo, remove ${file}`,
      )
    }
    // Left by a demo that was killed.
    await rm(file, { force: true })
    await write()
  }
}
