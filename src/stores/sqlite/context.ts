import type { Statement } from 'better-sqlite3'
import type { LinkId } from '../../model/ids.ts'
import type { Envelope } from '../../sealing/envelope.ts'
import type { ChunkKey } from '../store-tx.ts'
import type { Database, SqlValue } from './database.ts'
import { Numbers } from './numbers.ts'

/** A value of the database that is kept beside it, and read again after a rollback. */
export interface Remembered<T> {
  get(): T
  /** What the transaction under way has just written. */
  set(value: T): void
}

/** Rows that are written when a transaction ends: once, whatever was done to them in it. */
export interface LateRows {
  beginPart(): void
  rollBackPart(): void
  flush(): void
  /** After the transaction, whichever way it ended. */
  clear(): void
}

/** What the rows are read and written with. */
export class RowContext {
  readonly db: Database
  readonly envelope: Envelope
  readonly #links: Numbers
  readonly #runs: Numbers
  readonly #blockRuns: Numbers
  readonly #linkIds = new Map<number, LinkId>()
  readonly #forget: (() => void)[] = []
  readonly #late: LateRows[] = []
  readonly #selectLinkId: Statement<SqlValue[], { readonly link_id: LinkId }>

  constructor(db: Database, envelope: Envelope) {
    this.db = db
    this.envelope = envelope
    this.#links = new Numbers(
      db,
      'SELECT number FROM link_name WHERE link_id = ?',
      'INSERT INTO link_name (link_id) VALUES (?)',
    )
    this.#blockRuns = new Numbers(
      db,
      'SELECT number FROM block_run WHERE link = ?',
      'INSERT INTO block_run (link) VALUES (?)',
    )
    this.#selectLinkId = db.prepare('SELECT link_id FROM link_name WHERE number = ?')
    this.#runs = new Numbers(
      db,
      `SELECT number FROM chunk_run
       WHERE link = ? AND lane = ? AND epoch_counter = ? AND epoch_id = ?`,
      'INSERT INTO chunk_run (link, lane, epoch_counter, epoch_id) VALUES (?, ?, ?, ?)',
    )
  }

  /** The number of a link in other tables; 0, which no link has, where it has none yet. */
  findLink(linkId: LinkId): number {
    return this.#links.find([linkId])
  }

  /** The same; gives it one. */
  ensureLink(linkId: LinkId): number {
    return this.#links.ensure([linkId])
  }

  /** The link that has this number. */
  linkIdOf(number: number): LinkId {
    const known = this.#linkIds.get(number)
    if (known !== undefined) return known
    const linkId = this.#selectLinkId.get(number)?.link_id
    if (linkId === undefined) throw new TypeError(`no link has the number ${String(number)}`)
    this.#linkIds.set(number, linkId)
    return linkId
  }

  /** The number of a run of chunks, or 0. */
  findRun(key: ChunkKey): number {
    return this.#runs.find(this.#nameRun(key, this.findLink(key.linkId)))
  }

  ensureRun(key: ChunkKey): number {
    return this.#runs.ensure(this.#nameRun(key, this.ensureLink(key.linkId)))
  }

  /** The number of the blocks of a link in its present epoch, or 0. */
  findBlockRun(linkId: LinkId): number {
    return this.#blockRuns.find([this.findLink(linkId)])
  }

  ensureBlockRun(linkId: LinkId): number {
    return this.#blockRuns.ensure([this.ensureLink(linkId)])
  }

  /** Part of a transaction: undone alone when it throws. */
  savepoint<T>(work: () => T): T {
    for (const rows of this.#late) rows.beginPart()
    try {
      return this.db.savepoint(work)
    } catch (error) {
      for (const rows of this.#late) rows.rollBackPart()
      this.#rolledBack()
      throw error
    }
  }

  /** One transaction, ended when this returns: undone where `work` throws, durable when it resolves. */
  async commit<T>(work: () => T): Promise<T> {
    const value = this.#transaction(work)
    await this.db.synced()
    return value
  }

  /** These rows follow the transactions from here on. */
  writeLate(rows: LateRows): void {
    this.#late.push(rows)
  }

  /** Keeps what `read` returns, until something is rolled back. */
  remember<T>(read: () => T): Remembered<T> {
    let known: { readonly value: T } | null = null
    this.#forget.push(() => {
      known = null
    })
    return {
      get: () => (known ??= { value: read() }).value,
      set: (value) => {
        known = { value }
      },
    }
  }

  /** After a rollback, or a deletion of runs, numbers may not be those of the database any more. */
  forgetNumbers(): void {
    this.#links.forget()
    this.#runs.forget()
    this.#blockRuns.forget()
    this.#linkIds.clear()
  }

  #transaction<T>(work: () => T): T {
    try {
      return this.db.commit(() => {
        const value = work()
        for (const rows of this.#late) rows.flush()
        return value
      })
    } catch (error) {
      this.#rolledBack()
      throw error
    } finally {
      for (const rows of this.#late) rows.clear()
    }
  }

  #rolledBack(): void {
    this.forgetNumbers()
    for (const forget of this.#forget) forget()
  }

  #nameRun(key: ChunkKey, link: number): readonly (string | number)[] {
    return [link, key.lane, key.epoch.counter, key.epoch.id]
  }
}
