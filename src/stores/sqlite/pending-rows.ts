import type { LaneDrop } from '../../ports/delivery-store.ts'
import type { LaneGrant } from '../../ports/lane-store.ts'
import type { LaneName } from '../../model/lane.ts'
import type { LinkId } from '../../model/ids.ts'
import type { StoreTx } from '../store-tx.ts'
import type { RowContext } from './context.ts'

interface Row {
  readonly lane: string
  readonly start_offset: number
  readonly end_offset: number
}

type DropRows = Pick<
  StoreTx,
  'insertPendingDrop' | 'listPendingDrops' | 'deletePendingDrop' | 'deletePendingDrops'
>
type GrantRows = Pick<
  StoreTx,
  'insertPendingGrant' | 'listPendingGrants' | 'deletePendingGrant' | 'deletePendingGrants'
>

/** Ranges consumed for no delivery, of which the peer has to be told. */
export const dropRows = (context: RowContext): DropRows => {
  const rows = rangeRows(context, 'pending_drop')
  return {
    insertPendingDrop: rows.insert,
    listPendingDrops: rows.list,
    deletePendingDrop: rows.remove,
    deletePendingDrops: rows.removeAll,
  }
}

/** Ranges that were granted, of which the peer has to be told. */
export const grantRows = (context: RowContext): GrantRows => {
  const rows = rangeRows(context, 'pending_grant')
  return {
    insertPendingGrant: rows.insert,
    listPendingGrants: rows.list,
    deletePendingGrant: rows.remove,
    deletePendingGrants: rows.removeAll,
  }
}

interface RangeRows {
  readonly insert: (linkId: LinkId, range: LaneDrop & LaneGrant) => void
  readonly list: (linkId: LinkId, limit: number) => readonly (LaneDrop & LaneGrant)[]
  readonly remove: (linkId: LinkId, range: LaneDrop & LaneGrant) => void
  readonly removeAll: (linkId: LinkId) => void
}

const rangeRows = (context: RowContext, table: 'pending_drop' | 'pending_grant'): RangeRows => {
  const { db } = context
  const insert = db.prepare(
    `INSERT INTO ${table} (link, lane, start_offset, end_offset) VALUES (?, ?, ?, ?)`,
  )
  const list = db.prepare<Row>(
    `SELECT lane, start_offset, end_offset FROM ${table} WHERE link = ? ORDER BY seq LIMIT ?`,
  )
  const remove = db.prepare(
    `DELETE FROM ${table} WHERE link = ? AND lane = ? AND start_offset = ? AND end_offset = ?`,
  )
  const removeAll = db.prepare(`DELETE FROM ${table} WHERE link = ?`)
  return {
    insert: (linkId, { lane, range }) => {
      insert.run(context.ensureLink(linkId), lane, range.start, range.end)
    },
    list: (linkId, limit) =>
      list.all(context.findLink(linkId), limit).map((row) => ({
        lane: row.lane as LaneName,
        range: { start: row.start_offset, end: row.end_offset },
      })),
    remove: (linkId, { lane, range }) => {
      remove.run(context.findLink(linkId), lane, range.start, range.end)
    },
    removeAll: (linkId) => {
      removeAll.run(context.findLink(linkId))
    },
  }
}
