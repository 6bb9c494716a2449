import SQLite from 'better-sqlite3'
import { chmodSync, constants, copyFileSync, existsSync, linkSync, rmSync } from 'node:fs'
import { KmeError, messageOf } from '../../errors.ts'
import type { Random } from '../../ports/clock.ts'
import { Database } from './database.ts'
import { BACKUP_ID, syncFile } from './backup-file.ts'
import { SCHEMA_VERSION, migrate } from './schema.ts'
import { isStoreFile } from './store-file.ts'

/**
 * What a backup holds: who is registered, who got what, and how far each link has come. From that a
 * restored KME knows what it must never issue again.
 */
export const COPIED_TABLES = [
  ...['store', 'former_generation', 'link_name', 'link', 'ledger'],
  ...['own_sae', 'peer_sae_list', 'peer_sae', 'audit'],
] as const

/**
 * What it does not hold: key material in any form, sealed or not, the data keys, and what only has a
 * meaning with them. A table is on one of the two lists, so that none is forgotten.
 */
export const LEFT_OUT_TABLES = [
  ...['data_key', 'proposal', 'verdict', 'suspects', 'block', 'block_material', 'checkpoint'],
  ...['fingerprint_key', 'lane', 'stretch', 'chunk_run', 'chunk', 'pending_drop', 'pending_grant'],
  ...[
    'fresh_device',
    'block_run',
    'ended_run',
    'delivery_group',
    'redelivery',
    'redelivery_material',
  ],
] as const

export interface BackupReport {
  readonly generation: string
  readonly links: readonly string[]
  readonly auditRows: number
}

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** Bytes that no backup has are gone for who comes from it. */
const DROP_FROM_LEDGER = `
  UPDATE backup.ledger SET dropped = dropped + unverified + own_lane + other_lane + granted + held,
    unverified = 0, own_lane = 0, other_lane = 0, granted = 0, held = 0`

const copyInto = (db: Database, draft: string): void => {
  db.exec(`ATTACH DATABASE ${quoted(draft)} AS backup`)
  try {
    db.transaction(() => {
      for (const table of COPIED_TABLES) {
        db.exec(`DELETE FROM backup.${table}`)
        db.exec(`INSERT INTO backup.${table} SELECT * FROM main.${table}`)
      }
      db.exec(DROP_FROM_LEDGER)
    })
  } finally {
    db.exec('DETACH DATABASE backup')
  }
}

const reportOn = (db: Database): BackupReport => ({
  generation:
    db.prepare<{ generation: string }>('SELECT generation FROM store').get()?.generation ?? '',
  links: db
    .prepare<{ link_id: string }>('SELECT link_id FROM link_name ORDER BY number')
    .all()
    .map(({ link_id: linkId }) => linkId),
  auditRows: db.prepare<{ n: number }>('SELECT count(*) AS n FROM audit').get()?.n ?? 0,
})

/** One file, by itself, that no KME takes for a store. */
const seal = (draft: string): void => {
  const handle = new SQLite(draft, { fileMustExist: true })
  try {
    handle.pragma('journal_mode = DELETE')
    handle.pragma(`application_id = ${String(BACKUP_ID)}`)
  } finally {
    handle.close()
  }
  chmodSync(draft, 0o600)
  syncFile(draft)
}

/** A backup changes nothing of the store, so it does not bring it up to date either. */
const assertPresentSchema = (db: Database): void => {
  const schema = Number(db.pragma('user_version'))
  if (schema === SCHEMA_VERSION) return
  const advice =
    schema < SCHEMA_VERSION
      ? 'start this Keyspring on it once, or make the backup with the release that wrote it'
      : 'use the newer Keyspring that wrote it'
  throw new KmeError(
    'STORE_SCHEMA',
    `store ${db.path} has schema ${String(schema)}, not ${String(SCHEMA_VERSION)}; ${advice}`,
  )
}

/** Neither replaces a file that has come meanwhile. Not every file system has links. */
const giveName = (draft: string, out: string): void => {
  try {
    linkSync(draft, out)
  } catch {
    copyFileSync(draft, out, constants.COPYFILE_EXCL)
  }
}

const removeDraft = (draft: string): void => {
  for (const suffix of ['', '-wal', '-shm', '-journal'])
    rmSync(`${draft}${suffix}`, { force: true })
}

/**
 * Writes a backup of a store that no process has open into a new file, mode 0600, durable when this
 * returns.
 * @throws KmeError STORE_FAILED (no store, the file is there), STORE_LOCKED (the KME runs), STORE_SCHEMA
 */
export const writeBackup = (path: string, out: string, random: Random): BackupReport => {
  if (!isStoreFile(path)) throw new KmeError('STORE_FAILED', `there is no store at ${path}`)
  if (existsSync(out)) throw new KmeError('STORE_FAILED', `${out} is there: name another file`)
  const draft = `${out}.draft`
  removeDraft(draft)
  const db = Database.open(path)
  try {
    assertPresentSchema(db)
    const made = Database.open(draft)
    try {
      migrate(made, random)
    } finally {
      made.close()
    }
    copyInto(db, draft)
    seal(draft)
    giveName(draft, out)
    syncFile(out)
    return reportOn(db)
  } catch (error) {
    if (error instanceof KmeError) throw error
    throw new KmeError('STORE_FAILED', `the backup ${out} cannot be written: ${messageOf(error)}`, {
      cause: error,
    })
  } finally {
    db.close()
    removeDraft(draft)
  }
}
