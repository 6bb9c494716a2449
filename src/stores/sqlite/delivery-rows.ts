import type { DeliveryRow, StoreTx } from '../store-tx.ts'
import { rangeOf } from '../../model/range.ts'
import { deliveryLengthBytes } from '../../model/delivery.ts'
import type { LaneName } from '../../model/lane.ts'
import type { RowContext } from './context.ts'
import type { SqlValue } from './database.ts'
import { decodeSaes, decodeSlaves, encodeSaes, encodeSlaves } from './json.ts'
import type { RowName } from './sealed-rows.ts'
import { sealedRows } from './sealed-rows.ts'

interface Row {
  readonly seq: number
  readonly link: number
  readonly delivery_id: Buffer
  readonly epoch_counter: number
  readonly epoch_id: string
  readonly lane: string
  readonly start_offset: number
  readonly key_length: number
  readonly key_count: number
  readonly master_sae_id: string
  readonly master_registration_id: string
  readonly time_to_live_ms: number
  readonly slaves: string
  readonly remote_slaves: string
  readonly remote_kme_id: string | null
  readonly remote: string
  readonly expires_ms: number
}

const COLUMNS = `delivery_id, epoch_counter, epoch_id, lane, start_offset, key_length, key_count,
  master_sae_id, master_registration_id, time_to_live_ms, slaves, remote_slaves, remote_kme_id,
  remote, expires_ms`
// No join for the link's name: it would cost several times the look-up itself.
const SELECT = `SELECT seq, link, ${COLUMNS} FROM delivery`

const deliveryOf = (context: RowContext, row: Row): DeliveryRow => ({
  seq: row.seq,
  linkId: context.linkIdOf(row.link),
  epoch: { counter: row.epoch_counter, id: row.epoch_id },
  delivery: {
    deliveryId: row.delivery_id,
    lane: row.lane as LaneName,
    offset: row.start_offset,
    keyLengthBytes: row.key_length,
    keyCount: row.key_count,
    master: { saeId: row.master_sae_id, registrationId: row.master_registration_id },
    timeToLiveMs: row.time_to_live_ms,
  },
  slaves: decodeSlaves(row.slaves),
  remoteSlaves: decodeSaes(row.remote_slaves),
  remoteKmeId: row.remote_kme_id,
  remote: row.remote as DeliveryRow['remote'],
  expiresMs: row.expires_ms,
})

const valuesOf = (row: Omit<DeliveryRow, 'seq'>): SqlValue[] => [
  row.delivery.deliveryId,
  row.epoch.counter,
  row.epoch.id,
  row.delivery.lane,
  row.delivery.offset,
  row.delivery.keyLengthBytes,
  row.delivery.keyCount,
  row.delivery.master.saeId,
  row.delivery.master.registrationId,
  row.delivery.timeToLiveMs,
  encodeSlaves(row.slaves),
  encodeSaes(row.remoteSlaves),
  row.remoteKmeId,
  row.remote,
  row.expiresMs,
]

type DeliveryWrites = Pick<StoreTx, 'findDelivery' | 'insertDelivery' | 'updateDelivery'> &
  Pick<StoreTx, 'deleteDelivery'>
type DeliveryLists = Pick<StoreTx, 'listUnconfirmed' | 'listExpired' | 'nextExpiry'> &
  Pick<StoreTx, 'hasDeliveryIn' | 'listDeliveries'>
type HeldRows = Pick<StoreTx, 'readHeld' | 'writeHeld' | 'deleteHeld'>

/** Deliveries by their IDs. */
export const deliveryRows = (
  context: RowContext,
  deleteHeld: (seq: number) => void,
): DeliveryWrites => {
  const { db } = context
  const select = db.prepare<Row>(`${SELECT} WHERE delivery_id = ?`)
  const insert = db.prepare(
    `INSERT INTO delivery (link, ${COLUMNS})
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const update = db.prepare('UPDATE delivery SET remote = ?, slaves = ? WHERE seq = ?')
  const remove = db.prepare('DELETE FROM delivery WHERE seq = ?')
  return {
    findDelivery(deliveryId) {
      const row = select.get(deliveryId)
      return row === undefined ? null : deliveryOf(context, row)
    },
    insertDelivery(delivery) {
      const link = context.ensureLink(delivery.linkId)
      const { lastInsertRowid } = insert.run(link, ...valuesOf(delivery))
      return { ...delivery, seq: Number(lastInsertRowid) }
    },
    updateDelivery(row) {
      update.run(row.remote, encodeSlaves(row.slaves), row.seq)
    },
    deleteDelivery(seq) {
      deleteHeld(seq)
      remove.run(seq)
    },
  }
}

/** Deliveries by what is still to be done with them. */
export const deliveryLists = (context: RowContext): DeliveryLists => {
  const { db } = context
  const toDelivery = (row: Row): DeliveryRow => deliveryOf(context, row)
  const unconfirmed = db.prepare<Row>(
    `${SELECT} WHERE link = ? AND remote = 'unconfirmed' ORDER BY seq LIMIT ?`,
  )
  const expired = db.prepare<Row>(
    `${SELECT} WHERE expires_ms <= ? ORDER BY expires_ms, seq LIMIT ?`,
  )
  const soonest = db.prepare<{ expires_ms: number | null }>(
    'SELECT min(expires_ms) AS expires_ms FROM delivery',
  )
  const overlapping = db.prepare(
    `SELECT 1 FROM delivery
     WHERE link = ? AND epoch_counter = ? AND epoch_id = ? AND lane = ? AND start_offset < ?
       AND start_offset + key_length * key_count > ? LIMIT 1`,
  )
  const all = db.prepare<Row>(`${SELECT} WHERE link = ? AND seq > ? ORDER BY seq LIMIT ?`)
  return {
    listUnconfirmed: (linkId, limit) =>
      unconfirmed.all(context.findLink(linkId), limit).map(toDelivery),
    listExpired: (runningMs, limit) => expired.all(runningMs, limit).map(toDelivery),
    nextExpiry: () => soonest.get()?.expires_ms ?? null,
    hasDeliveryIn(linkId, epoch, lane, range) {
      const link = context.findLink(linkId)
      const found = overlapping.get(link, epoch.counter, epoch.id, lane, range.end, range.start)
      return found !== undefined
    },
    listDeliveries: (linkId, after, limit) =>
      all.all(context.findLink(linkId), after, limit).map(toDelivery),
  }
}

const nameOf = ({ linkId, epoch, delivery }: DeliveryRow): RowName => {
  const { start, end } = rangeOf(delivery.offset, deliveryLengthBytes(delivery))
  const id = delivery.deliveryId.toString('hex')
  return [linkId, epoch.counter, epoch.id, delivery.lane, start, end, id]
}

/** Bytes that wait for slaves of this KME. */
export const heldRows = (context: RowContext): HeldRows => {
  const rows = sealedRows(context, 'held', 'seq')
  return {
    readHeld: (row) => rows.read(row.seq, nameOf(row)),
    writeHeld(row, bytes) {
      rows.write(row.seq, nameOf(row), bytes)
    },
    deleteHeld(seq) {
      rows.delete(seq)
    },
  }
}
