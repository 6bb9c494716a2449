import { KmeError } from '../../errors.ts'
import type { Random } from '../../ports/clock.ts'
import type { Sealing } from '../../ports/sealing.ts'
import type { Envelope } from '../../sealing/envelope.ts'
import type { StoreBackend, StoreTx } from '../store-tx.ts'
import { RowContext } from './context.ts'
import { openEnvelope, rewrapEnvelope } from './data-keys.ts'
import { Database } from './database.ts'
import { migrate } from './schema.ts'
import { sqliteTx } from './sqlite-tx.ts'

export interface SqliteOptions {
  /** The database file; made where there is none, its directory must be there. */
  readonly path: string
  /** Stays the caller's; needed only until the store is open. */
  readonly sealing: Sealing
  readonly random: Random
}

const FULL_SYNC = 2

/** The store's rows in one SQLite file, sealed where they hold key material. */
class SqliteBackend implements StoreBackend {
  readonly #db: Database
  readonly #envelope: Envelope
  readonly #context: RowContext
  readonly #tx: StoreTx
  readonly #random: Random
  #rewrapping: Promise<void> = Promise.resolve()

  constructor(db: Database, envelope: Envelope, random: Random) {
    this.#db = db
    this.#envelope = envelope
    this.#random = random
    this.#context = new RowContext(db, envelope)
    this.#tx = sqliteTx(this.#context)
  }

  get poisoned(): boolean {
    return this.#db.poisoned
  }

  transact<T>(work: (tx: StoreTx) => T): Promise<T> {
    return this.#context.commit(() => work(this.#tx))
  }

  /** One after the other: each numbers a data key of its own. */
  rewrap(sealing: Sealing): Promise<void> {
    const rewrapping = this.#rewrapping.then(() =>
      rewrapEnvelope(this.#db, this.#envelope, sealing, this.#random),
    )
    this.#rewrapping = rewrapping.catch(() => undefined)
    return rewrapping
  }

  close(): void {
    this.#envelope.close()
    this.#db.close()
  }
}

/** Of what SQLite syncs by itself: `Database.synced` sees to the rest. */
const assertDurable = (db: Database): void => {
  // After the first write: this build of SQLite changes the setting then, where it is not its own.
  if (db.pragma('synchronous') === FULL_SYNC) return
  throw new KmeError('STORE_FAILED', `store ${db.path} does not sync its commits; use another disk`)
}

/**
 * Opens the store's file for this process alone, and makes it where there is none.
 * @throws KmeError STORE_LOCKED, STORE_SCHEMA, STORE_FAILED, SEALING_FAILED: one line, what to do
 */
export const openSqliteBackend = async ({
  path,
  sealing,
  random,
}: SqliteOptions): Promise<StoreBackend> => {
  const db = Database.open(path)
  try {
    db.recover()
    migrate(db, random)
    const envelope = await openEnvelope(db, sealing, random)
    assertDurable(db)
    return new SqliteBackend(db, envelope, random)
  } catch (error) {
    db.close()
    throw error
  }
}
