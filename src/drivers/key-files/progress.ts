import { createHash } from 'node:crypto'
import * as z from 'zod'
import type { FileFacts } from './files.ts'

const NAME_HASH_BYTES = 8
const SIZE_BYTES = 6
const ENTRY_BYTES = NAME_HASH_BYTES + SIZE_BYTES

const checkpointSchema = z.strictObject({
  version: z.literal(1),
  /** Per file read to its end and still in the folder: hash of its name, size; base64. */
  done: z.base64(),
  current: z
    .strictObject({
      name: z.string(),
      sizeBytes: z.int().min(0),
      modifiedMs: z.number(),
      inode: z.number(),
      /** Keys of the file that were handed over. */
      records: z.int().min(0),
    })
    .nullable(),
})

export interface CurrentFile extends FileFacts {
  readonly records: number
}

const nameHash = (name: string): string =>
  createHash('sha256')
    .update(name)
    .digest('hex')
    .slice(0, 2 * NAME_HASH_BYTES)

/**
 * How far the folder was read. It is stored with the blocks, so that after a restart no key is read
 * twice. Small: only files that still lie in the folder are remembered.
 */
export class Progress {
  readonly #done: ReadonlyMap<string, number>
  readonly current: CurrentFile | null

  private constructor(done: ReadonlyMap<string, number>, current: CurrentFile | null) {
    this.#done = done
    this.current = current
  }

  static readonly none = new Progress(new Map(), null)

  /** Null where the bytes are no checkpoint of this driver. */
  static decode(checkpoint: Buffer): Progress | null {
    try {
      const { done, current } = checkpointSchema.parse(JSON.parse(checkpoint.toString()))
      const bytes = Buffer.from(done, 'base64')
      const entries = new Map<string, number>()
      for (let at = 0; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) {
        const name = bytes.subarray(at, at + NAME_HASH_BYTES).toString('hex')
        entries.set(name, bytes.readUIntBE(at + NAME_HASH_BYTES, SIZE_BYTES))
      }
      return new Progress(entries, current)
    } catch {
      return null
    }
  }

  encode(): Buffer {
    const bytes = Buffer.alloc(this.#done.size * ENTRY_BYTES)
    let at = 0
    for (const [name, sizeBytes] of this.#done) {
      bytes.write(name, at, 'hex')
      bytes.writeUIntBE(sizeBytes, at + NAME_HASH_BYTES, SIZE_BYTES)
      at += ENTRY_BYTES
    }
    const done = bytes.toString('base64')
    return Buffer.from(JSON.stringify({ version: 1, done, current: this.current }))
  }

  /** Size that the file had when it was read to its end; undefined where it was not. */
  doneSizeOf(name: string): number | undefined {
    return this.#done.get(nameHash(name))
  }

  /** The file was read up to that record, and not further. */
  at(facts: FileFacts, records: number): Progress {
    return new Progress(this.#done, { ...facts, records })
  }

  /** The file was read to its end, or is never to be read. */
  finished(facts: FileFacts): Progress {
    const done = new Map(this.#done).set(nameHash(facts.name), facts.sizeBytes)
    return new Progress(done, this.current?.name === facts.name ? null : this.current)
  }

  /** The file was removed: its name may come again. */
  removed(name: string): Progress {
    const done = new Map(this.#done)
    done.delete(nameHash(name))
    return new Progress(done, this.current)
  }

  /** Forgets files that are no longer in the folder. */
  among(names: readonly string[]): Progress {
    const present = new Set(names.map(nameHash))
    const done = new Map([...this.#done].filter(([name]) => present.has(name)))
    const { current } = this
    return new Progress(done, current !== null && names.includes(current.name) ? current : null)
  }
}
