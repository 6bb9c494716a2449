import SQLite from 'better-sqlite3'
import { KmeError } from '../../errors.ts'
import { WalSync } from './wal-sync.ts'
import {
  explainForeignSchema,
  explainSqliteError,
  explainSyncError,
  isPoison,
  poisonedError,
} from './sqlite-errors.ts'
import { APPLICATION_ID, prepareStoreFile } from './store-file.ts'

/** Values that a query can bind or return; integers stay within 2^53. */
export type SqlValue = number | string | Buffer | null

/** A WAL of so many pages (4 MiB) is written back after the commit that reached it: a short stall each time. */
const CHECKPOINT_WAL_PAGES = 1024
/** Between two looks at how long the WAL is. */
const COMMITS_PER_WAL_LOOK = 16
/** How long erased bytes may stay in the WAL. */
const CHECKPOINT_DELAY_MS = 5_000

/**
 * One connection to the database file, for this process alone. All statements run on it, in
 * transactions; errors come out as KmeErrors. After an I/O error it refuses everything: nobody
 * knows what reached the disk.
 */
export class Database {
  readonly path: string
  readonly #checkpointDelayMs: number
  readonly #handle: SQLite.Database
  readonly #begin: SQLite.Statement<[]>
  readonly #commit: SQLite.Statement<[]>
  readonly #savepoint: SQLite.Statement<[]>
  readonly #release: SQLite.Statement<[]>
  readonly #walState: SQLite.Statement<[], WalState>
  readonly #walSync: WalSync
  #syncs: CommitSync = 'FULL'
  #poison: unknown = undefined
  readonly #totalChanges: SQLite.Statement<[], { n: number }>
  #changesSeen: number | undefined
  #unseenCommits = 0
  /** Something was committed and not synced. */
  #isUnsynced = false
  /** The latest sync. */
  #syncing: Promise<void> = Promise.resolve()
  /** What made the transaction under way impossible to commit. */
  #broken: KmeError | undefined
  #checkpointTimer: NodeJS.Timeout | undefined

  private constructor(path: string, handle: SQLite.Database, checkpointDelayMs: number) {
    this.path = path
    this.#checkpointDelayMs = checkpointDelayMs
    this.#handle = handle
    this.#walSync = new WalSync(`${fileOf(handle)}-wal`)
    this.#begin = handle.prepare<[]>('BEGIN IMMEDIATE')
    this.#commit = handle.prepare<[]>('COMMIT')
    this.#savepoint = handle.prepare<[]>('SAVEPOINT part')
    this.#release = handle.prepare<[]>('RELEASE part')
    this.#totalChanges = handle.prepare<[], { n: number }>('SELECT total_changes() AS n')
    this.#changesSeen = this.#totalChanges.get()?.n
    this.#walState = handle.prepare<[], WalState>('PRAGMA wal_checkpoint(NOOP)')
  }

  /**
   * Opens the file (an empty one where there is none) and takes its lock until `close`.
   * @throws KmeError STORE_LOCKED, STORE_SCHEMA (a file of something else), STORE_FAILED
   */
  static open(path: string, checkpointDelayMs = CHECKPOINT_DELAY_MS): Database {
    prepareStoreFile(path)
    let handle: SQLite.Database | undefined
    try {
      handle = new SQLite(path, { fileMustExist: true, timeout: 0 })
      assertOurs(path, handle)
      configure(handle)
      return new Database(path, handle, checkpointDelayMs)
    } catch (error) {
      handle?.close()
      throw explainSqliteError(path, error)
    }
  }

  prepare<Row = unknown>(sql: string): SQLite.Statement<SqlValue[], Row> {
    try {
      return this.#handle.prepare<SqlValue[], Row>(sql)
    } catch (error) {
      throw explainForeignSchema(this.path, error)
    }
  }

  exec(sql: string): void {
    this.#guard(() => this.#handle.exec(sql))
  }

  /** The value of a one-row, one-column pragma. */
  pragma(name: string): unknown {
    return this.#guard(() => this.#handle.pragma(name, { simple: true }))
  }

  /** After an error that leaves open what is on the disk. */
  get poisoned(): boolean {
    return this.#poison !== undefined
  }

  /** Runs `work` in one transaction: durable when it returns, undone when it throws. */
  transaction<T>(work: () => T): T {
    this.#setSync('FULL')
    return this.#transaction(work)
  }

  /** The same, but what it commits is durable only once a later call of `synced` resolves. */
  commit<T>(work: () => T): T {
    this.#setSync('NORMAL')
    return this.#transaction(work)
  }

  /**
   * Resolves once all that was committed before the call is durable. This process goes on while the
   * disk syncs.
   * @throws KmeError STORE_FAILED: it may be lost, and a later sync may claim success for it
   */
  synced(): Promise<void> {
    if (this.#isUnsynced) this.#syncing = this.#sync()
    return this.#syncing
  }

  async #sync(): Promise<void> {
    this.#isUnsynced = false
    try {
      await this.#walSync.sync()
    } catch (error) {
      this.#poison ??= error
      throw explainSyncError(this.path, error)
    }
    // What failed meanwhile may have been of this commit: one of two syncs hears of it.
    if (this.#poison !== undefined) throw poisonedError(this.path, this.#poison)
  }

  #transaction<T>(work: () => T): T {
    this.#broken = undefined
    const result = this.#guard(() => {
      this.#begin.run()
      try {
        const value = work()
        this.#assertWhole()
        this.#commit.run()
        return value
      } catch (error) {
        this.#rollBack('ROLLBACK')
        throw error
      }
    })
    this.#tendWal()
    return result
  }

  /**
   * Part of a transaction: undone alone when it throws. Where the database itself failed, the whole
   * transaction can no longer commit.
   */
  savepoint<T>(work: () => T): T {
    return this.#guard(() => {
      this.#assertWhole()
      this.#savepoint.run()
      try {
        const value = work()
        this.#release.run()
        return value
      } catch (error) {
        const explained = explainSqliteError(this.path, error)
        if (explained !== error && explained instanceof KmeError) this.#broken = explained
        this.#rollBack('ROLLBACK TO part; RELEASE part')
        throw error
      }
    })
  }

  /**
   * Writes back what an earlier process left in the WAL, before anything is added to it. Where that
   * process ended for an I/O error, the system may still show pages of the WAL that the disk never
   * got: at a power cut all that was added after them would be lost with them. A full disk puts it off.
   * @throws KmeError STORE_FAILED, STORE_CORRUPT
   */
  recover(): void {
    try {
      this.#guard(() => this.#handle.pragma('wal_checkpoint(TRUNCATE)'))
    } catch (error) {
      if (this.poisoned) throw error
    }
  }

  /**
   * Writes all of the WAL back and empties it: what was overwritten or deleted is in no file then.
   * @throws KmeError STORE_FAILED
   */
  emptyWal(): void {
    const [outcome] = this.#guard(
      () => this.#handle.pragma('wal_checkpoint(TRUNCATE)') as { busy: number; log: number }[],
    )
    if (outcome?.busy === 0 && outcome.log === 0) return
    throw new KmeError('STORE_FAILED', `the WAL of store ${this.path} could not be emptied`)
  }

  /** Idempotent. */
  close(): void {
    clearTimeout(this.#checkpointTimer)
    if (!this.#handle.open) return
    // A full disk must not keep the store open: the next start finds all commits in the WAL.
    this.#checkpointSoftly('TRUNCATE')
    this.#walSync.close()
    this.#handle.close()
  }

  /** NORMAL: SQLite syncs the WAL before it writes it back, but not with a commit. */
  #setSync(when: CommitSync): void {
    if (this.#syncs === when) return
    this.#guard(() => this.#handle.pragma(`synchronous = ${when}`))
    this.#syncs = when
  }

  #assertWhole(): void {
    if (this.#broken !== undefined) throw this.#broken
  }

  /** SQLite may have rolled back the whole transaction by itself, on a full disk for one. */
  #rollBack(sql: string): void {
    if (!this.#handle.inTransaction) return
    try {
      this.#handle.exec(sql)
    } catch (error) {
      this.#poison = error
    }
  }

  #guard<T>(work: () => T): T {
    if (this.#poison !== undefined) {
      throw poisonedError(this.path, this.#poison)
    }
    try {
      return work()
    } catch (error) {
      if (isPoison(error)) this.#poison = error
      throw explainSqliteError(this.path, error)
    }
  }

  /**
   * Explicit, not `wal_autocheckpoint`: that one hides a failed sync. A long WAL is written back and
   * then overwritten from its start (a file that need not grow syncs faster); the timer empties it.
   */
  #tendWal(): void {
    const changes = this.#totalChanges.get()?.n
    if (changes === this.#changesSeen) return
    this.#changesSeen = changes
    this.#isUnsynced = this.#syncs === 'NORMAL'
    this.#checkpointTimer ??= setTimeout(() => {
      this.#checkpointTimer = undefined
      this.#checkpointSoftly('TRUNCATE')
    }, this.#checkpointDelayMs).unref()
    // The look costs a tenth of a small transaction.
    this.#unseenCommits += 1
    if (this.#unseenCommits < COMMITS_PER_WAL_LOOK) return
    this.#unseenCommits = 0
    const wal = this.#walState.get()
    if (wal === undefined || wal.log - wal.checkpointed < CHECKPOINT_WAL_PAGES) return
    this.#checkpointSoftly('RESTART')
  }

  /** What was committed is durable without it: a full disk only puts it off; an I/O error poisons. */
  #checkpointSoftly(mode: 'RESTART' | 'TRUNCATE'): void {
    try {
      this.#guard(() => this.#handle.pragma(`wal_checkpoint(${mode})`))
    } catch {
      // The next transaction says what is wrong, should it still be.
    }
  }
}

/** Where the database really lies: SQLite follows symbolic links, and puts its WAL beside what it finds. */
const fileOf = (handle: SQLite.Database): string => {
  const databases = handle.pragma('database_list') as { name: string; file: string }[]
  const main = databases.find(({ name }) => name === 'main')
  if (main === undefined) throw new TypeError('a database without a file')
  return main.file
}

/** Whether a commit of SQLite is durable by itself. */
type CommitSync = 'FULL' | 'NORMAL'

/** Pages in the WAL, and how many of them are written back. */
interface WalState {
  readonly log: number
  readonly checkpointed: number
}

/** Before anything is written: a file of another program must stay as it is. */
const assertOurs = (path: string, handle: SQLite.Database): void => {
  // Set before the WAL is first touched: then no shared memory file is made, and no other process
  // gets in.
  handle.pragma('locking_mode = EXCLUSIVE')
  if (handle.pragma('application_id', { simple: true }) === APPLICATION_ID) return
  // A process that was killed while it made the store leaves a database without a schema.
  const schema = handle.prepare<[], { n: number }>('SELECT count(*) AS n FROM sqlite_schema').get()
  if (schema?.n === 0 && handle.pragma('application_id', { simple: true }) === 0) return
  throw new KmeError(
    'STORE_SCHEMA',
    `store ${path} is a database of another program; use another path, or the right KME's file`,
  )
}

const configure = (handle: SQLite.Database): void => {
  const expect = (pragma: string, expected: unknown): void => {
    const value = handle.pragma(pragma, { simple: true })
    if (value !== expected) throw new TypeError(`PRAGMA ${pragma} gave ${String(value)}`)
  }
  expect('journal_mode = WAL', 'wal')
  // After WAL: this build's default for WAL is NORMAL, which loses commits at a power cut.
  handle.pragma('synchronous = FULL')
  expect('secure_delete = ON', 1)
  // Sorted rows and journals of statements stay out of temporary files.
  handle.pragma('temp_store = MEMORY')
  expect('wal_autocheckpoint = 0', 0)
  handle.pragma('trusted_schema = OFF')
}
