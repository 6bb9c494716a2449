import type { BlockRow, BlockState, StoreTx } from '../store-tx.ts'
import type { LinkId } from '../../model/ids.ts'
import type { RowContext } from './context.ts'
import { endedRuns } from './ended-runs.ts'
import type { SqlValue } from './database.ts'

interface Row {
  readonly seq: number
  readonly device_id: string
  readonly stream_id: string
  readonly vendor_id: string
  readonly length: number
  readonly state: string
  readonly announced: number
  readonly matched: number
  readonly suspect: number
  readonly spent: number
  readonly received_ms: number
  readonly device_end: string | null
  readonly fingerprint: Buffer | null
}

const COLUMNS = `device_id, stream_id, vendor_id, length, state, announced, matched, suspect,
  spent, received_ms, device_end, fingerprint`

const blockOf = (linkId: LinkId, row: Row): BlockRow => ({
  seq: row.seq,
  linkId,
  ref: { deviceId: row.device_id, streamId: row.stream_id, vendorId: row.vendor_id },
  lengthBytes: row.length,
  state: row.state as BlockState,
  announced: row.announced === 1,
  matched: row.matched === 1,
  suspect: row.suspect === 1,
  spentBytes: row.spent,
  receivedMs: row.received_ms,
  end: row.device_end as BlockRow['end'],
  fingerprint: row.fingerprint,
})

const valuesOf = (row: Omit<BlockRow, 'seq'>): SqlValue[] => [
  row.ref.deviceId,
  row.ref.streamId,
  row.ref.vendorId,
  row.lengthBytes,
  row.state,
  Number(row.announced),
  Number(row.matched),
  Number(row.suspect),
  row.spentBytes,
  row.receivedMs,
  row.end,
  row.fingerprint,
]

type BlockWrites = Pick<StoreTx, 'findBlock' | 'insertBlock' | 'updateBlock' | 'deleteBlock'> &
  Pick<StoreTx, 'deleteBlocks'>
type BlockLists = Pick<StoreTx, 'listUnannounced' | 'listMatched' | 'listUnmatched'> &
  Pick<StoreTx, 'listAwaited' | 'sumUnverified'>

/** Blocks by their refs. `insertMaterial` and `deleteMaterial` keep the bytes. */
export const blockRows = (
  context: RowContext,
  insertMaterial: (row: BlockRow, material: Buffer) => void,
  deleteMaterial: (seq: number) => void,
): BlockWrites => {
  const { db } = context
  const select = db.prepare<Row>(
    `SELECT seq, ${COLUMNS} FROM block
     WHERE link = ? AND device_id = ? AND stream_id = ? AND vendor_id = ?`,
  )
  const insert = db.prepare(
    `INSERT INTO block (link, ${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const update = db.prepare(
    `UPDATE block SET (${COLUMNS}) = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE seq = ?`,
  )
  const remove = db.prepare('DELETE FROM block WHERE seq = ?')
  const endRun = endedRuns(context, 'block')
  const removeRun = db.prepare('DELETE FROM block_run WHERE number = ?')
  return {
    findBlock(linkId, ref) {
      const link = context.findBlockRun(linkId)
      const row = select.get(link, ref.deviceId, ref.streamId, ref.vendorId)
      return row === undefined ? null : blockOf(linkId, row)
    },
    insertBlock(block, material) {
      const { lastInsertRowid } = insert.run(
        context.ensureBlockRun(block.linkId),
        ...valuesOf(block),
      )
      const row = { ...block, seq: Number(lastInsertRowid) }
      if (material !== null) insertMaterial(row, material)
      return row
    },
    updateBlock(row) {
      update.run(...valuesOf(row), row.seq)
    },
    deleteBlock(seq) {
      deleteMaterial(seq)
      remove.run(seq)
    },
    deleteBlocks(linkId) {
      const run = context.findBlockRun(linkId)
      if (run === 0) return
      endRun(run)
      removeRun.run(run)
      context.forgetNumbers()
    },
  }
}

/** Blocks by their state, each list on a partial index of its own; rising `seq`. */
export const blockLists = (context: RowContext): BlockLists => {
  const { db } = context
  const list = (where: string): ((linkId: LinkId, ...values: SqlValue[]) => BlockRow[]) => {
    const select = db.prepare<Row>(
      `SELECT seq, ${COLUMNS} FROM block WHERE link = ? AND ${where} ORDER BY seq LIMIT ?`,
    )
    return (linkId, ...values) =>
      select.all(context.findBlockRun(linkId), ...values).map((row) => blockOf(linkId, row))
  }
  const unannounced = list("state = 'unverified' AND announced = 0")
  const matched = list("state = 'unverified' AND announced = 1 AND matched = 1 AND suspect = 0")
  const unmatched = list(
    "device_id = ? AND state = 'unverified' AND matched = 0 AND received_ms < ?",
  )
  const awaited = list("device_id = ? AND state = 'awaited'")
  const sum = db.prepare<{ bytes: number }>(
    `SELECT coalesce(sum(length - spent), 0) AS bytes FROM block
     WHERE link = ? AND state = 'unverified'`,
  )
  return {
    listUnannounced: (linkId, limit) => unannounced(linkId, limit),
    listMatched: (linkId, limit) => matched(linkId, limit),
    listUnmatched: (linkId, deviceId, before, limit) => unmatched(linkId, deviceId, before, limit),
    listAwaited: (linkId, deviceId, limit) => awaited(linkId, deviceId, limit),
    sumUnverified: (linkId) => sum.get(context.findBlockRun(linkId))?.bytes ?? 0,
  }
}
