import { deliveryLengthBytes } from '../../model/delivery.ts'
import { sameEpoch } from '../../model/lane.ts'
import { overlaps, rangeOf } from '../../model/range.ts'
import type { DeliveryRow, StoreTx } from '../store-tx.ts'
import type { MemoryTables } from './memory-tables.ts'

type DeliveryRows = Pick<
  StoreTx,
  | 'findDelivery'
  | 'insertDelivery'
  | 'updateDelivery'
  | 'deleteDelivery'
  | 'listUnconfirmed'
  | 'listExpired'
  | 'nextExpiry'
  | 'hasDeliveryIn'
  | 'listDeliveries'
  | 'readHeld'
  | 'writeHeld'
  | 'deleteHeld'
>

export const deliveryRows = (tables: MemoryTables): DeliveryRows => ({
  findDelivery: (deliveryId) => {
    const seq = tables.deliveriesById.get(deliveryId.toString('hex'))
    return seq === undefined ? null : (tables.deliveries.get(seq) ?? null)
  },
  insertDelivery: (delivery) => {
    const row = { ...delivery, seq: tables.nextSeq() }
    const id = row.delivery.deliveryId.toString('hex')
    if (tables.deliveriesById.get(id) !== undefined) throw new TypeError('the ID is taken')
    tables.deliveriesById.set(id, row.seq)
    put(tables, row)
    return row
  },
  updateDelivery: (row) => {
    put(tables, row)
  },
  deleteDelivery: (seq) => {
    const row = tables.deliveries.get(seq)
    if (!row) return
    tables.deliveriesById.delete(row.delivery.deliveryId.toString('hex'))
    tables.deliveries.delete(seq)
    tables.unconfirmed.delete(seq)
    tables.held.delete(seq)
  },
  ...deliveryLists(tables),
  readHeld: (row) => tables.held.read(row.seq),
  writeHeld: (row, bytes) => {
    tables.held.write(row.seq, bytes)
  },
  deleteHeld: (seq) => {
    tables.held.delete(seq)
  },
})

type DeliveryLists = Pick<
  DeliveryRows,
  'listUnconfirmed' | 'listExpired' | 'nextExpiry' | 'hasDeliveryIn' | 'listDeliveries'
>

/** Lists look at every row: this store is not for millions of them. */
const deliveryLists = (tables: MemoryTables): DeliveryLists => ({
  listUnconfirmed: (linkId, limit) =>
    tables.unconfirmed
      .values()
      .filter((row) => row.linkId === linkId)
      .sort((a, b) => a.seq - b.seq)
      .slice(0, limit),
  listExpired: (runningMs, limit) =>
    tables.deliveries
      .values()
      .filter((row) => row.expiresMs <= runningMs)
      .sort((a, b) => a.expiresMs - b.expiresMs || a.seq - b.seq)
      .slice(0, limit),
  nextExpiry: () => {
    if (tables.deliveries.size === 0) return null
    return tables.deliveries
      .values()
      .reduce((least, row) => Math.min(least, row.expiresMs), Infinity)
  },
  hasDeliveryIn: (linkId, epoch, lane, range) =>
    tables.deliveries.values().some((row) => {
      const { delivery } = row
      const isThere = row.linkId === linkId && sameEpoch(row.epoch, epoch) && delivery.lane === lane
      return isThere && overlaps([rangeOf(delivery.offset, deliveryLengthBytes(delivery))], range)
    }),
  listDeliveries: (linkId, after, limit) =>
    tables.deliveries
      .values()
      .filter((row) => row.linkId === linkId && row.seq > after)
      .sort((a, b) => a.seq - b.seq)
      .slice(0, limit),
})

const put = (tables: MemoryTables, row: DeliveryRow): void => {
  tables.deliveries.set(row.seq, row)
  if (row.remote === 'unconfirmed') tables.unconfirmed.set(row.seq, row)
  else tables.unconfirmed.delete(row.seq)
}
