import type { Journal } from './journal.ts'

/** Rows by key; every change can be undone. Rows are never changed in place. */
export class MemoryTable<K extends string | number, V> {
  readonly #rows = new Map<K, V>()
  readonly #journal: Journal

  constructor(journal: Journal) {
    this.#journal = journal
  }

  get size(): number {
    return this.#rows.size
  }

  get(key: K): V | undefined {
    return this.#rows.get(key)
  }

  set(key: K, value: V): void {
    this.#record(key, value)
    this.#rows.set(key, value)
  }

  delete(key: K): void {
    if (!this.#rows.has(key)) return
    this.#record(key, null)
    this.#rows.delete(key)
  }

  entries(): readonly (readonly [K, V])[] {
    return [...this.#rows]
  }

  values(): readonly V[] {
    return [...this.#rows.values()]
  }

  #record(key: K, value: V | null): void {
    const rows = this.#rows
    const had = rows.has(key)
    const before = rows.get(key)
    this.#journal.record({
      undo: () => {
        if (had) rows.set(key, before as V)
        else rows.delete(key)
      },
      before: before instanceof Buffer ? before : null,
      after: value instanceof Buffer ? value : null,
    })
  }
}
