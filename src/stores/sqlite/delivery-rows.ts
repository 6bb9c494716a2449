import type { DeliveryRow, StoreTx } from '../store-tx.ts'
import type { LaneName } from '../../model/lane.ts'
import type { RowContext } from './context.ts'
import type { SqlValue } from './database.ts'
import { DeliveryCache, type GroupTable, type StoredGroup } from './delivery-cache.ts'
import {
  MOST_MEMBERS,
  decodeMembers,
  encodeMembers,
  groupSeqOf,
  risingOf,
  type DeliveryGroup,
  type GroupFacts,
} from './delivery-group.ts'
import { overlaps, rangeOf } from '../../model/range.ts'
import { deliveryLengthBytes } from '../../model/delivery.ts'
import { bindSealed } from './sealed-rows.ts'

interface Row {
  readonly seq: number
  readonly first_id: Buffer
  readonly link: number
  readonly epoch_counter: number
  readonly epoch_id: string
  readonly lane: string
  readonly start_offset: number
  readonly length: number
  readonly time_to_live_ms: number
  readonly remote_kme_id: string | null
  readonly expires_ms: number
  readonly saes: string
  readonly members: string
  readonly version: number
  readonly sealed: Buffer | null
}

const COLUMNS = `first_id, link, epoch_counter, epoch_id, lane, start_offset, length,
  time_to_live_ms, remote_kme_id, expires_ms, saes, members, version, sealed`

const factsOf = (context: RowContext, row: Row): GroupFacts => ({
  seq: row.seq,
  firstId: row.first_id,
  linkId: context.linkIdOf(row.link),
  epoch: { counter: row.epoch_counter, id: row.epoch_id },
  lane: row.lane as LaneName,
  offset: row.start_offset,
  timeToLiveMs: row.time_to_live_ms,
  remoteKmeId: row.remote_kme_id,
  expiresMs: row.expires_ms,
})

/** Of a group of one the same as of a delivery that had a row of its own (schema 1). */
const bind = ({ facts, lengthBytes }: DeliveryGroup, version: number): string => {
  const { linkId, epoch, lane, offset, firstId } = facts
  const end = offset + lengthBytes
  const name = [linkId, epoch.counter, epoch.id, lane, offset, end, firstId.toString('hex')]
  return bindSealed('held', name, version)
}

const storedOf = (context: RowContext, row: Row): StoredGroup => {
  const facts = factsOf(context, row)
  const group = { facts, members: decodeMembers(facts, row), lengthBytes: row.length }
  const { sealed, version } = row
  const openHeld = () => sealed && context.envelope.open(sealed, bind(group, version))
  return { group, version, openHeld }
}

const valuesOf = (context: RowContext, group: DeliveryGroup): SqlValue[] => {
  const { firstId, linkId, epoch, lane, offset, timeToLiveMs, remoteKmeId, expiresMs } = group.facts
  const { saes, members } = encodeMembers(group)
  const link = context.ensureLink(linkId)
  return [
    ...[firstId, link, epoch.counter, epoch.id, lane, offset, group.lengthBytes],
    ...[timeToLiveMs, remoteKmeId, expiresMs, saes, members],
  ]
}

const lastRisingOf = ({ facts, members }: DeliveryGroup): number =>
  risingOf(facts.firstId) + members.length - 1

const countUnconfirmed = ({ members }: DeliveryGroup): number =>
  members.filter((member) => member?.row.remote === 'unconfirmed').length

const groupTable = (context: RowContext): GroupTable => {
  const { db, envelope } = context
  const select = db.prepare<Row>(`SELECT seq, ${COLUMNS} FROM delivery_group WHERE seq = ?`)
  const near = db.prepare<Pick<Row, 'seq'>>(
    `SELECT seq FROM delivery_group WHERE first_id BETWEEN ? AND ? AND last_rising >= ?
     ORDER BY first_id DESC`,
  )
  const last = db.prepare<{ readonly seq: number | null }>(
    'SELECT max(seq) AS seq FROM delivery_group',
  )
  const write = db.prepare(
    `INSERT INTO delivery_group (seq, last_rising, unconfirmed, data_key, ${COLUMNS})
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (seq) DO UPDATE SET last_rising = excluded.last_rising, unconfirmed = excluded.unconfirmed,
       data_key = excluded.data_key, length = excluded.length, saes = excluded.saes,
       members = excluded.members, version = excluded.version, sealed = excluded.sealed`,
  )
  const remove = db.prepare('DELETE FROM delivery_group WHERE seq = ?')
  const lowest = Buffer.alloc(16)
  return {
    read(groupSeq) {
      const row = select.get(groupSeq)
      return row === undefined ? null : storedOf(context, row)
    },
    candidates(deliveryId) {
      // A group begins at most so many IDs before its last member.
      const rising = risingOf(deliveryId)
      lowest.writeUIntBE(Math.max(0, rising - MOST_MEMBERS + 1) * 4, 0, 6)
      return near.all(lowest, deliveryId, rising).map(({ seq }) => seq)
    },
    lastSeq: () => last.get()?.seq ?? 0,
    write(group, version, held) {
      const sealed = held && envelope.seal(held, bind(group, version))
      const key = sealed && envelope.sealingKeyId
      const { seq } = group.facts
      write.run(
        seq,
        lastRisingOf(group),
        countUnconfirmed(group),
        key,
        ...valuesOf(context, group),
        version,
        sealed,
      )
    },
    delete(groupSeq) {
      remove.run(groupSeq)
    },
  }
}

type DeliveryRows = Pick<
  StoreTx,
  | 'findDelivery'
  | 'insertDelivery'
  | 'updateDelivery'
  | 'deleteDelivery'
  | 'readHeld'
  | 'writeHeld'
  | 'deleteHeld'
  | 'listUnconfirmed'
  | 'listExpired'
  | 'nextExpiry'
  | 'hasDeliveryIn'
  | 'listDeliveries'
>

/** Deliveries and the bytes that wait for slaves of this KME. */
export const deliveryRows = (context: RowContext): DeliveryRows => {
  const cache = new DeliveryCache(groupTable(context))
  context.writeLate(cache)
  return {
    findDelivery: (deliveryId) => cache.find(deliveryId),
    insertDelivery: (delivery) => cache.insert(delivery),
    updateDelivery(row) {
      cache.update(row)
    },
    deleteDelivery(seq) {
      cache.delete(seq)
    },
    readHeld: (row) => cache.readHeld(row),
    writeHeld(row, bytes) {
      cache.writeHeld(row, bytes)
    },
    deleteHeld(seq) {
      cache.deleteHeld(seq)
    },
    ...deliveryLists(context, cache),
  }
}

type DeliveryLists = Pick<
  DeliveryRows,
  'listUnconfirmed' | 'listExpired' | 'nextExpiry' | 'hasDeliveryIn' | 'listDeliveries'
>

/** Deliveries by what is still to be done with them. */
const deliveryLists = (context: RowContext, cache: DeliveryCache): DeliveryLists => {
  const selectGroups = listStatements(context)
  /** Groups are read as they are in the database, so that has to be up to date. */
  const rowsOf = (list: () => readonly Row[]): readonly DeliveryRow[] => {
    cache.flush()
    return list().flatMap((row) =>
      storedOf(context, row).group.members.flatMap((member) => (member ? [member.row] : [])),
    )
  }
  return {
    listUnconfirmed: (linkId, limit) =>
      rowsOf(() => selectGroups.unconfirmed.all(context.findLink(linkId), limit))
        .filter(({ remote }) => remote === 'unconfirmed')
        .slice(0, limit),
    listExpired: (runningMs, limit) =>
      rowsOf(() => selectGroups.expired.all(runningMs, limit)).slice(0, limit),
    nextExpiry() {
      cache.flush()
      return selectGroups.soonest.get()?.expires_ms ?? null
    },
    hasDeliveryIn(linkId, { counter, id }, lane, range) {
      const place = [context.findLink(linkId), counter, id, lane]
      return rowsOf(() => selectGroups.overlapping.all(...place, range.end, range.start)).some(
        ({ delivery }) =>
          overlaps([rangeOf(delivery.offset, deliveryLengthBytes(delivery))], range),
      )
    },
    // One group more: of the first one, all members may come before.
    listDeliveries: (linkId, after, limit) =>
      rowsOf(() => selectGroups.all.all(context.findLink(linkId), groupSeqOf(after), limit + 1))
        .filter(({ seq }) => seq > after)
        .slice(0, limit),
  }
}

const listStatements = ({ db }: RowContext) => {
  const select = `SELECT seq, ${COLUMNS} FROM delivery_group`
  return {
    unconfirmed: db.prepare<Row>(
      `${select} WHERE link = ? AND unconfirmed > 0 ORDER BY seq LIMIT ?`,
    ),
    expired: db.prepare<Row>(`${select} WHERE expires_ms <= ? ORDER BY expires_ms, seq LIMIT ?`),
    soonest: db.prepare<{ expires_ms: number | null }>(
      'SELECT min(expires_ms) AS expires_ms FROM delivery_group',
    ),
    overlapping: db.prepare<Row>(
      `${select} WHERE link = ? AND epoch_counter = ? AND epoch_id = ? AND lane = ?
         AND start_offset < ? AND start_offset + length > ?`,
    ),
    all: db.prepare<Row>(`${select} WHERE link = ? AND seq >= ? ORDER BY seq LIMIT ?`),
  }
}
