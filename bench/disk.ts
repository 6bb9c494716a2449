import { closeSync, fsyncSync, openSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'

const PAGE = Buffer.alloc(4096, 0x5a)

/** What a durable write costs where the stores are: 4 KiB appended to a file, and synced. */
export class DiskSync implements Disposable {
  readonly #file: string
  readonly #handle: number

  constructor(dir: string) {
    this.#file = join(dir, `.keyspring-bench-sync-${String(process.pid)}`)
    this.#handle = openSync(this.#file, 'wx', 0o600)
  }

  /** The time that each of so many took, in milliseconds. Nothing else happens meanwhile. */
  sample(count: number): readonly number[] {
    return Array.from({ length: count }, () => {
      const startedMs = performance.now()
      writeSync(this.#handle, PAGE)
      fsyncSync(this.#handle)
      return performance.now() - startedMs
    })
  }

  [Symbol.dispose](): void {
    closeSync(this.#handle)
    unlinkSync(this.#file)
  }
}
