import { KmeError, messageOf } from '../../errors.ts'

/**
 * By name, not by class: the native part throws the class of whichever copy of the package was
 * loaded first.
 */
const sqliteCode = (error: unknown): string | undefined =>
  typeof error === 'object' &&
  error !== null &&
  'name' in error &&
  error.name === 'SqliteError' &&
  'code' in error &&
  typeof error.code === 'string'
    ? error.code
    : undefined

/**
 * Whether the database must not be used any more in this process: after a failed write or sync
 * nobody knows what is on the disk, and a later sync may claim success for what was lost.
 */
export const isPoison = (error: unknown): boolean => {
  const code = sqliteCode(error)
  return code !== undefined && /^SQLITE_(IOERR|CORRUPT|NOTADB)/.test(code)
}

/** What an operator is told from the moment on at which the database is poisoned. */
export const poisonedError = (path: string, poison: unknown): KmeError => {
  const isDamaged = /^SQLITE_(CORRUPT|NOTADB)/.test(sqliteCode(poison) ?? '')
  const what = isDamaged
    ? 'is damaged and takes nothing any more; restore it from its backup'
    : 'had an I/O error and takes nothing any more; check the disk and restart'
  return new KmeError('STORE_FAILED', `store ${path} ${what}`, { cause: poison })
}

/** For a statement of ours, which the tables of a whole store have what it takes for. */
export const explainForeignSchema = (path: string, error: unknown): unknown => {
  if (sqliteCode(error) !== 'SQLITE_ERROR') return explainSqliteError(path, error)
  const what = `store ${path} is damaged: its tables are not those of this program; restore it from its backup`
  return new KmeError('STORE_CORRUPT', what, { cause: error })
}

/** What an operator is told when a sync failed, or its file could not be opened. */
export const explainSyncError = (path: string, error: unknown): KmeError =>
  new KmeError(
    'STORE_FAILED',
    `store ${path} had an I/O error (${messageOf(error)}); check the disk and the system's log`,
    { cause: error },
  )

/** Tells an operator what failed, where and what to do; what is no SQLite error passes unchanged. */
export const explainSqliteError = (path: string, error: unknown): unknown => {
  const code = sqliteCode(error)
  if (code === undefined) return error
  const options = { cause: error }
  if (code === 'SQLITE_BUSY' || code === 'SQLITE_LOCKED') {
    return new KmeError(
      'STORE_LOCKED',
      `store ${path} is in use by another process; stop it or use another path`,
      options,
    )
  }
  if (code === 'SQLITE_FULL') {
    return new KmeError('STORE_FAILED', `store ${path}: the disk is full; make room`, options)
  }
  if (code === 'SQLITE_NOTADB') {
    return new KmeError(
      'STORE_SCHEMA',
      `store ${path} is no store of Keyspring; use another path, or the right KME's file`,
      options,
    )
  }
  if (code.startsWith('SQLITE_CORRUPT')) {
    const what = `store ${path} is damaged (${code}); restore it from its backup`
    return new KmeError('STORE_CORRUPT', what, options)
  }
  if (code.startsWith('SQLITE_READONLY')) {
    return new KmeError(
      'STORE_FAILED',
      `store ${path} cannot be written; make it and its directory writable for this user`,
      options,
    )
  }
  if (/^SQLITE_(IOERR|CANTOPEN|PERM|NOMEM|NOLFS)/.test(code)) {
    const what = `store ${path} failed (${code}); check the disk and the system's log`
    return new KmeError('STORE_FAILED', what, options)
  }
  // A statement or constraint that is wrong is a mistake of the program.
  return error
}
