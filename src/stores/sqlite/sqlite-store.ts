import { Store } from '../store.ts'
import type { SqliteOptions } from './sqlite-backend.ts'
import { openSqliteBackend } from './sqlite-backend.ts'

/**
 * Opens the store in a SQLite file, for this process alone; makes it where there is none.
 * @throws KmeError STORE_LOCKED, STORE_SCHEMA, STORE_FAILED, SEALING_FAILED: one line, what to do
 */
export const openSqliteStore = async (options: SqliteOptions): Promise<Store> =>
  new Store(await openSqliteBackend(options), options.random)
