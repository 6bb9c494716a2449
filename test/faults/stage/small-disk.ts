import { execFileSync } from 'node:child_process'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../../src/errors.ts'
import { onEarlyEnd } from './stop.ts'

const BALLAST = 'ballast'
const PIECE = Buffer.alloc(65_536, 0x42)
const SMALL = PIECE.subarray(0, 512)

const isFull = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ENOSPC'

/** A file system of its own, so small that it can be filled. */
export class SmallDisk implements AsyncDisposable {
  readonly #folder: string
  readonly #forget: () => void

  private constructor(folder: string) {
    this.#folder = folder
    this.#forget = onEarlyEnd(() => this[Symbol.asyncDispose]())
  }

  /** @throws Error where this system lets nobody mount */
  static async mount(folder: string, mebibytes: number): Promise<SmallDisk> {
    await mkdir(folder, { mode: 0o700 })
    try {
      const options = `size=${mebibytes}m,mode=0700`
      execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'keyspring-faults', folder], {
        stdio: 'pipe',
      })
    } catch (cause) {
      const what = `a tmpfs cannot be mounted, so no full disk can be tried: ${messageOf(cause)}`
      throw new Error(`${what}; run it as root`, { cause })
    }
    return new SmallDisk(folder)
  }

  /** Not a byte is left. */
  fill(): void {
    const file = openSync(join(this.#folder, BALLAST), 'a')
    try {
      for (const piece of [PIECE, SMALL]) this.#writeUntilFull(file, piece)
    } finally {
      closeSync(file)
    }
  }

  free(): void {
    rmSync(join(this.#folder, BALLAST), { force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#forget()
    // Also while a process that is being killed still has files open.
    execFileSync('umount', ['-l', this.#folder], { stdio: 'pipe' })
  }

  #writeUntilFull(file: number, piece: Buffer): void {
    try {
      for (;;) writeSync(file, piece)
    } catch (error) {
      if (!isFull(error)) throw error
    }
  }
}
