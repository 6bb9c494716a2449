import { closeSync, fdatasync, openSync } from 'node:fs'
import { promisify } from 'node:util'

const syncFile = promisify(fdatasync)

/**
 * Syncs a WAL from another thread than the one that writes it. SQLite keeps no lock on this file, so
 * that opening and closing it once more takes none away.
 */
export class WalSync {
  readonly #path: string
  #file: number | undefined

  constructor(path: string) {
    this.#path = path
  }

  /** What was written before the call is durable when it resolves. @throws Error of the file system */
  async sync(): Promise<void> {
    // SQLite makes the file with the first commit, and never another while the database is open.
    this.#file ??= openSync(this.#path, 'r+')
    await syncFile(this.#file)
  }

  /** No sync is under way. Idempotent. */
  close(): void {
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
  }
}
