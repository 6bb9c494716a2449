import type { LaneName } from '../../model/lane.ts'
import type { StoreTx } from '../store-tx.ts'
import type { RowContext } from './context.ts'

interface Row {
  readonly lane: string
  readonly start_offset: number
  readonly end_offset: number
}

type DropRows = Pick<StoreTx, 'insertPendingDrop' | 'listPendingDrops' | 'deletePendingDrop'> &
  Pick<StoreTx, 'deletePendingDrops'>

/** Ranges consumed for no delivery, of which the peer has to be told. */
export const dropRows = (context: RowContext): DropRows => {
  const { db } = context
  const insert = db.prepare(
    'INSERT INTO pending_drop (link, lane, start_offset, end_offset) VALUES (?, ?, ?, ?)',
  )
  const list = db.prepare<Row>(
    `SELECT lane, start_offset, end_offset FROM pending_drop
     WHERE link = ? ORDER BY seq LIMIT ?`,
  )
  const remove = db.prepare(
    `DELETE FROM pending_drop
     WHERE link = ? AND lane = ? AND start_offset = ? AND end_offset = ?`,
  )
  const removeAll = db.prepare('DELETE FROM pending_drop WHERE link = ?')
  return {
    insertPendingDrop(linkId, { lane, range }) {
      insert.run(context.ensureLink(linkId), lane, range.start, range.end)
    },
    listPendingDrops: (linkId, limit) =>
      list.all(context.findLink(linkId), limit).map((row) => ({
        lane: row.lane as LaneName,
        range: { start: row.start_offset, end: row.end_offset },
      })),
    deletePendingDrop(linkId, { lane, range }) {
      remove.run(context.findLink(linkId), lane, range.start, range.end)
    },
    deletePendingDrops(linkId) {
      removeAll.run(context.findLink(linkId))
    },
  }
}
