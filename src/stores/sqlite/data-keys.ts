import type { Random } from '../../ports/clock.ts'
import type { Sealing } from '../../ports/sealing.ts'
import type { StoredDataKey, WrappedKeys } from '../../sealing/envelope.ts'
import { Envelope } from '../../sealing/envelope.ts'
import type { StoreTx } from '../store-tx.ts'
import type { RowContext } from './context.ts'
import type { Database } from './database.ts'

/** Every table with sealed rows; each has an index on `data_key`. */
const SEALED_TABLES = [
  'block_material',
  'fingerprint_key',
  'chunk',
  'delivery_group',
  'redelivery_material',
] as const

const IS_USED = SEALED_TABLES.map(
  (table) => `EXISTS (SELECT 1 FROM ${table} WHERE ${table}.data_key = data_key.id)`,
).join(' OR ')

interface StoreRow {
  readonly store_id: string
  readonly data_keys_made: number
}

/** Those that rows refer to, and the one that rows may refer to at any moment. */
const listNeeded = (db: Database, sealingKeyId: number): readonly StoredDataKey[] =>
  db
    .prepare<{ id: number; kek_id: string; wrapped: Buffer }>(
      `SELECT id, kek_id, wrapped FROM data_key WHERE id = ? OR ${IS_USED} ORDER BY id`,
    )
    .all(sealingKeyId)
    .map((row) => ({ id: row.id, kekId: row.kek_id, wrapped: row.wrapped }))

const NO_KEY = 0

interface PreparedKeys {
  readonly envelope: Envelope
  readonly wrapped: WrappedKeys
}

/** An envelope with the data keys that are needed and a new one, all under the KEK that wraps now. */
const prepareKeys = (
  db: Database,
  sealing: Sealing,
  random: Random,
  sealingKeyId: number,
): Promise<PreparedKeys> => {
  const stored = listNeeded(db, sealingKeyId)
  const store = db
    .prepare<StoreRow>('SELECT store_id, data_keys_made FROM store WHERE id = 1')
    .get()
  if (store === undefined) throw new TypeError('the store has no row of its own')
  const newKeyId = store.data_keys_made + 1
  return Envelope.create({ sealing, random, storeId: store.store_id, stored, newKeyId })
}

/**
 * Makes them durable and drops the others, then runs `use`: in one turn, so that nothing is sealed
 * in between under a key that was dropped.
 */
const putIntoUse = <T>(
  db: Database,
  { envelope, wrapped }: PreparedKeys,
  use: (envelope: Envelope) => T,
): T => {
  try {
    db.transaction(() => {
      writeKeys(db, wrapped)
    })
    return use(envelope)
  } catch (error) {
    envelope.close()
    throw error
  }
}

const writeKeys = (db: Database, { newKey, rewrapped }: WrappedKeys): void => {
  db.prepare('UPDATE store SET data_keys_made = ? WHERE id = 1').run(newKey.id)
  db.prepare(`DELETE FROM data_key WHERE NOT (${IS_USED})`).run()
  const update = db.prepare('UPDATE data_key SET kek_id = ?, wrapped = ? WHERE id = ?')
  for (const { id, kekId, wrapped } of rewrapped) update.run(kekId, wrapped, id)
  db.prepare('INSERT INTO data_key (id, kek_id, wrapped) VALUES (?, ?, ?)').run(
    newKey.id,
    newKey.kekId,
    newKey.wrapped,
  )
}

/**
 * Unwraps the data keys that rows refer to, drops the others, and makes this life's. A KEK that is
 * being replaced wraps none of them any more after that.
 * @throws KmeError SEALING_FAILED where the KEK is another one; nothing is changed then
 */
export const openEnvelope = async (
  db: Database,
  sealing: Sealing,
  random: Random,
): Promise<Envelope> =>
  putIntoUse(db, await prepareKeys(db, sealing, random, NO_KEY), (envelope) => envelope)

/**
 * The same while the store is in use: `envelope` goes on with another data key, and nothing that
 * the former KEK wrapped is left in the database or its WAL.
 * @throws KmeError SEALING_FAILED, with nothing changed; STORE_FAILED: to be done again
 */
export const rewrapEnvelope = async (
  db: Database,
  envelope: Envelope,
  sealing: Sealing,
  random: Random,
): Promise<void> => {
  const prepared = await prepareKeys(db, sealing, random, envelope.sealingKeyId)
  putIntoUse(db, prepared, (next) => {
    envelope.adopt(next)
  })
  db.emptyWal()
}

/** What rows do not refer to is of no use but to who has a former copy of a row. */
export const dataKeyRows = ({ db, envelope }: RowContext): Pick<StoreTx, 'dropUnusedKeys'> => {
  const drop = db.prepare(`DELETE FROM data_key WHERE id <> ? AND NOT (${IS_USED})`)
  return {
    dropUnusedKeys() {
      drop.run(envelope.sealingKeyId)
    },
  }
}
