import type { Statement } from 'better-sqlite3'
import type { Database, SqlValue } from './database.ts'

type Name = readonly (string | number)[]

/** Numbers that stand for names in rows, remembered so that a name costs no query. */
export class Numbers {
  readonly #select: Statement<SqlValue[], { readonly number: number }>
  readonly #insert: Statement<SqlValue[]>
  readonly #known = new Map<string, number>()

  constructor(db: Database, select: string, insert: string) {
    this.#select = db.prepare(select)
    this.#insert = db.prepare(insert)
  }

  /** 0 where the name has no number. */
  find(name: Name): number {
    const key = JSON.stringify(name)
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const number = this.#select.get(...name)?.number ?? 0
    if (number !== 0) this.#known.set(key, number)
    return number
  }

  ensure(name: Name): number {
    const found = this.find(name)
    if (found !== 0) return found
    this.#insert.run(...name)
    return this.find(name)
  }

  forget(): void {
    this.#known.clear()
  }
}
