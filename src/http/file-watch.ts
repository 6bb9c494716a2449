import { stat } from 'node:fs/promises'

const signatureOf = async (path: string): Promise<string> => {
  try {
    const { dev, ino, size, mtimeMs, ctimeMs } = await stat(path)
    return [dev, ino, size, mtimeMs, ctimeMs].join(' ')
  } catch {
    return 'unreadable'
  }
}

/** Notices that one of a few files was written or replaced, also through a symbolic link. */
export class FileWatch {
  readonly #paths: readonly string[]
  #seen: string | null = null

  constructor(paths: readonly string[]) {
    this.#paths = paths
  }

  /** Whether anything changed since the last call; the first call says no. */
  async changed(): Promise<boolean> {
    const seen = (await Promise.all(this.#paths.map(signatureOf))).join('\n')
    const before = this.#seen
    this.#seen = seen
    return before !== null && before !== seen
  }
}
