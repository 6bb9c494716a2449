import { wipe } from '../../support/wipe.ts'
import type { Journal } from './journal.ts'
import { MemoryTable } from './memory-table.ts'

/** Key material by key: copied in and out, wiped when it is replaced, deleted or undone. */
export class MaterialTable<K extends string | number> {
  readonly #rows: MemoryTable<K, Buffer>

  constructor(journal: Journal) {
    this.#rows = new MemoryTable(journal)
  }

  read(key: K): Buffer | null {
    const bytes = this.#rows.get(key)
    return bytes ? Buffer.from(bytes) : null
  }

  write(key: K, bytes: Buffer): void {
    this.#rows.set(key, Buffer.from(bytes))
  }

  delete(key: K): void {
    this.#rows.delete(key)
  }

  lengths(): readonly (readonly [K, number])[] {
    return this.#rows.entries().map(([key, bytes]) => [key, bytes.length])
  }

  /** The store closes. */
  wipeAll(): void {
    wipe(...this.#rows.values())
  }
}
