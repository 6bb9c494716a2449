import { KmeError } from '../../errors.ts'
import type { Random } from '../../ports/clock.ts'
import type { Database } from './database.ts'
import { chainRecord } from './audit-rows.ts'
import { groupDeliveries } from './delivery-migration.ts'
import { INITIAL_SCHEMA } from './schema-1.ts'
import { SECOND_SCHEMA } from './schema-2.ts'
import { APPLICATION_ID } from './store-file.ts'

/** One step each, from schema n to n + 1; a step that was released is never changed. */
const MIGRATIONS: readonly ((db: Database) => void)[] = [
  (db) => {
    db.exec(INITIAL_SCHEMA)
  },
  (db) => {
    db.exec(SECOND_SCHEMA)
    chainRecord(db)
    groupDeliveries(db)
  },
]

/** The schema that this program reads and writes. */
export const SCHEMA_VERSION = MIGRATIONS.length

const newName = (random: Random): string => random.bytes(16).toString('hex')

const raise = (db: Database, from: number, random: Random): void => {
  db.transaction(() => {
    // First, so that no step can be taken for done, or be done twice, whatever happens in it.
    db.exec(`PRAGMA user_version = ${String(from + 1)}`)
    if (from === 0) db.exec(`PRAGMA application_id = ${String(APPLICATION_ID)}`)
    MIGRATIONS[from]?.(db)
    if (from === 0) {
      db.prepare('INSERT INTO store (id, store_id, generation) VALUES (1, ?, ?)').run(
        newName(random),
        newName(random),
      )
    }
  })
}

/**
 * Brings the database to the schema of this program, one transaction per step. A new one gets its
 * generation.
 * @throws KmeError STORE_SCHEMA where the schema is newer: nothing is changed
 */
export const migrate = (db: Database, random: Random): void => {
  const found = Number(db.pragma('user_version'))
  if (found > SCHEMA_VERSION) {
    throw new KmeError(
      'STORE_SCHEMA',
      `store ${db.path} has schema ${String(found)}, this Keyspring knows schemas up to ${String(SCHEMA_VERSION)}; run the newer Keyspring that wrote it`,
    )
  }
  for (let version = found; version < SCHEMA_VERSION; version += 1) raise(db, version, random)
}
