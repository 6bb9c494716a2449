import type { Random } from '../../ports/clock.ts'
import type { Sealing } from '../../ports/sealing.ts'
import type { StoredDataKey } from '../../sealing/envelope.ts'
import { Envelope } from '../../sealing/envelope.ts'
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

const listUsed = (db: Database): readonly StoredDataKey[] =>
  db
    .prepare<{ id: number; kek_id: string; wrapped: Buffer }>(
      `SELECT id, kek_id, wrapped FROM data_key WHERE ${IS_USED} ORDER BY id`,
    )
    .all()
    .map((row) => ({ id: row.id, kekId: row.kek_id, wrapped: row.wrapped }))

/**
 * Unwraps the data keys that rows refer to, drops the others, and makes this life's, durable before
 * it seals anything.
 * @throws KmeError SEALING_FAILED where the KEK is another one; nothing is changed then
 */
export const openEnvelope = async (
  db: Database,
  sealing: Sealing,
  random: Random,
): Promise<Envelope> => {
  const stored = listUsed(db)
  const store = db
    .prepare<StoreRow>('SELECT store_id, data_keys_made FROM store WHERE id = 1')
    .get()
  if (store === undefined) throw new TypeError('the store has no row of its own')
  const newKeyId = store.data_keys_made + 1
  const parts = { sealing, random, storeId: store.store_id, stored, newKeyId }
  const { envelope, newKey } = await Envelope.create(parts)
  try {
    db.transaction(() => {
      db.prepare('UPDATE store SET data_keys_made = ? WHERE id = 1').run(newKeyId)
      db.prepare(`DELETE FROM data_key WHERE NOT (${IS_USED})`).run()
      db.prepare('INSERT INTO data_key (id, kek_id, wrapped) VALUES (?, ?, ?)').run(
        newKey.id,
        newKey.kekId,
        newKey.wrapped,
      )
    })
    return envelope
  } catch (error) {
    envelope.close()
    throw error
  }
}
