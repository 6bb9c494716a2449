import type { Database } from './database.ts'
import { risingOf } from './delivery-group.ts'

/** A delivery of schema 1, and what was kept for slaves beside it. */
interface Row {
  readonly seq: number
  readonly delivery_id: Buffer
  readonly link: number
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
  readonly version: number | null
  readonly data_key: number | null
  readonly sealed: Buffer | null
}

/** So many rows at a time: there may be many. */
const PAGE = 1000

/** One list of SAEs per group, which its member names by place. */
const membersOf = (row: Row): { readonly saes: string; readonly members: string } => {
  const slaves = JSON.parse(row.slaves) as readonly [string, string, string][]
  const remoteSlaves = JSON.parse(row.remote_slaves) as readonly [string, string][]
  const saes = [
    [row.master_sae_id, row.master_registration_id],
    ...slaves.map(([saeId, registrationId]) => [saeId, registrationId]),
    ...remoteSlaves,
  ]
  const member = [
    row.delivery_id.toString('base64'),
    row.start_offset,
    row.key_length,
    row.key_count,
    0,
    slaves.map(([, , unfetched], i) => [1 + i, unfetched]),
    remoteSlaves.map((_, i) => 1 + slaves.length + i),
    row.remote,
    row.sealed === null ? 0 : 1,
  ]
  return { saes: JSON.stringify(saes), members: JSON.stringify([member]) }
}

/** Schema 2: each delivery of schema 1 becomes a group of one; what was sealed stays as it was. */
export const groupDeliveries = (db: Database): void => {
  const page = db.prepare<Row>(
    `SELECT delivery.seq, delivery_id, link, epoch_counter, epoch_id, lane, start_offset, key_length,
       key_count, master_sae_id, master_registration_id, time_to_live_ms, slaves, remote_slaves,
       remote_kme_id, remote, expires_ms, version, data_key, sealed
     FROM delivery LEFT JOIN held ON held.seq = delivery.seq
     WHERE delivery.seq > ? ORDER BY delivery.seq LIMIT ${String(PAGE)}`,
  )
  const insert = db.prepare(
    `INSERT INTO delivery_group (seq, first_id, link, epoch_counter, epoch_id, lane, start_offset,
       length, time_to_live_ms, remote_kme_id, expires_ms, last_rising, unconfirmed, saes, members, version,
       data_key, sealed)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  for (let after = 0; ;) {
    const rows = page.all(after)
    for (const row of rows) {
      const { saes, members } = membersOf(row)
      insert.run(
        ...[row.seq, row.delivery_id, row.link, row.epoch_counter, row.epoch_id, row.lane],
        ...[row.start_offset, row.key_length * row.key_count, row.time_to_live_ms],
        ...[row.remote_kme_id, row.expires_ms, risingOf(row.delivery_id)],
        ...[row.remote === 'unconfirmed' ? 1 : 0],
        ...[saes, members, row.version ?? 0, row.data_key, row.sealed],
      )
      after = row.seq
    }
    if (rows.length < PAGE) break
  }
  db.exec('DROP TABLE held; DROP TABLE delivery;')
}
