import SQLite from 'better-sqlite3'
import { chmodSync, copyFileSync, existsSync, renameSync, rmSync } from 'node:fs'
import { KmeError, messageOf } from '../../errors.ts'
import type { KmeId } from '../../model/ids.ts'
import type { Random } from '../../ports/clock.ts'
import type { Sealing } from '../../ports/sealing.ts'
import { becomeRestored, readStanding } from '../operations/restores.ts'
import { isBackupFile, syncFile } from './backup-file.ts'
import { Database } from './database.ts'
import { markOf, markPathOf, writeMark } from './mark-file.ts'
import { SCHEMA_VERSION } from './schema.ts'
import { openSqliteBackend } from './sqlite-backend.ts'
import { APPLICATION_ID } from './store-file.ts'

export interface RestoreParts {
  /** The backup. */
  readonly from: string
  /** Where the store is to lie. */
  readonly path: string
  /** Puts a store that lies there aside; without it, one that is there is an error. */
  readonly replace: boolean
  /** Whose store it is to be. */
  readonly kmeId: KmeId
  readonly sealing: Sealing
  readonly random: Random
  readonly wallMs: number
}

export interface RestoreReport {
  readonly generation: string
  readonly formerGeneration: string
  readonly links: readonly string[]
  /** Where the store that was there lies now, or null. */
  readonly asidePath: string | null
}

const SUFFIXES = ['', '-wal', '-shm', '.mark'] as const

const checkBackup = ({ from, kmeId }: RestoreParts): void => {
  if (!existsSync(from)) throw new KmeError('STORE_FAILED', `there is no file ${from}`)
  if (!isBackupFile(from)) {
    throw new KmeError(
      'STORE_FAILED',
      `${from} is no backup of a store; "keyspring store backup" makes one`,
    )
  }
  const handle = new SQLite(from, { readonly: true })
  try {
    const schema = Number(handle.pragma('user_version', { simple: true }))
    if (schema > SCHEMA_VERSION) {
      throw new KmeError(
        'STORE_SCHEMA',
        `${from} has schema ${String(schema)}, this Keyspring knows schemas up to ${String(SCHEMA_VERSION)}; use the newer Keyspring that made it`,
      )
    }
    const owners = handle
      .prepare<[], { kme_id: string }>('SELECT DISTINCT kme_id FROM link')
      .all()
      .map(({ kme_id: owner }) => owner)
    const other = owners.find((owner) => owner !== kmeId)
    if (other === undefined) return
    throw new KmeError('STORE_FAILED', `${from} is a backup of KME ${other}, not of ${kmeId}`)
  } finally {
    handle.close()
  }
}

const lyingAt = (path: string): readonly string[] =>
  SUFFIXES.filter((suffix) => existsSync(`${path}${suffix}`))

/**
 * All that is there of a store, also a log whose database is lost: SQLite would take it for that of the
 * new one. Nothing is deleted: an operator decides when.
 */
const putAside = ({ path, wallMs }: RestoreParts): string | null => {
  const suffixes = lyingAt(path)
  if (suffixes.length === 0) return null
  // Its lock shows that no KME runs on it.
  if (suffixes.includes('')) Database.open(path).close()
  const aside = `${path}.replaced-${new Date(wallMs).toISOString().replaceAll(':', '')}`
  for (const suffix of lyingAt(path)) renameSync(`${path}${suffix}`, `${aside}${suffix}`)
  return aside
}

const copyDraft = (from: string, draft: string): void => {
  copyFileSync(from, draft)
  chmodSync(draft, 0o600)
  const handle = new SQLite(draft, { fileMustExist: true })
  try {
    handle.pragma(`application_id = ${String(APPLICATION_ID)}`)
  } finally {
    handle.close()
  }
}

/** Gives it a new generation: both ends of each link see by it that nothing from before goes on. */
const renew = async (draft: string, { sealing, random, wallMs }: RestoreParts) => {
  const backend = await openSqliteBackend({ path: draft, sealing, random })
  try {
    const former = await backend.transact((tx) => {
      const { generation, runningMs } = tx.readMeta()
      becomeRestored(tx, random, generation, { runningMs, wallMs })
      return generation
    })
    return { former, standing: await backend.transact(readStanding) }
  } finally {
    await backend.close()
  }
}

/**
 * SQLite removes the log of a database that it could close. Without a log that is left, for want of room
 * say, the store would be that of the backup, with its former generation.
 * @throws KmeError STORE_FAILED
 */
export const assertWrittenBack = (path: string): void => {
  if (!existsSync(`${path}-wal`)) return
  throw new KmeError('STORE_FAILED', `${path} could not be written whole; make room and try again`)
}

const restore = async (parts: RestoreParts, draft: string): Promise<RestoreReport> => {
  const { from, path, replace } = parts
  checkBackup(parts)
  if (existsSync(path) && !replace) {
    throw new KmeError(
      'STORE_FAILED',
      `there is a store at ${path}; --replace puts it aside and the backup in its place`,
    )
  }
  copyDraft(from, draft)
  const { former, standing } = await renew(draft, parts)
  assertWrittenBack(draft)
  syncFile(draft)
  const asidePath = putAside(parts)
  renameSync(draft, path)
  syncFile(path)
  await writeMark(markPathOf(path), markOf(standing))
  return {
    generation: standing.generation,
    formerGeneration: former,
    links: standing.links.map(({ linkId }) => linkId),
    asidePath,
  }
}

/**
 * Makes a store of a backup, with a new generation: each link begins a new epoch with its peer, and
 * no key of before is issued again. Durable when it resolves.
 * @throws KmeError STORE_FAILED, STORE_LOCKED (the KME runs), STORE_SCHEMA, SEALING_FAILED
 */
export const restoreBackup = async (parts: RestoreParts): Promise<RestoreReport> => {
  const { from, path } = parts
  const draft = `${path}.restoring`
  const removeDraft = (): void => {
    for (const suffix of ['', '-wal', '-shm', '-journal'])
      rmSync(`${draft}${suffix}`, { force: true })
  }
  removeDraft()
  try {
    return await restore(parts, draft)
  } catch (error) {
    if (error instanceof KmeError) throw error
    throw new KmeError(
      'STORE_FAILED',
      `${path} cannot be restored from ${from}: ${messageOf(error)}`,
      {
        cause: error,
      },
    )
  } finally {
    removeDraft()
  }
}
