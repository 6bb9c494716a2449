import type { AuditAction, AuditEntry } from '../../ports/audit.ts'
import type { StoreTx } from '../store-tx.ts'
import type { RowContext } from './context.ts'

interface Row {
  readonly sequence: number
  readonly at_ms: number
  readonly action: string
  readonly link_id: string
  readonly delivery_id: string
  readonly key_count: number
  readonly key_size_bits: number
  readonly master: string
  readonly saes: string
}

const COLUMNS = `at_ms, action, link_id, delivery_id, key_count, key_size_bits, master, saes`

const entryOf = (row: Row): AuditEntry => ({
  sequence: row.sequence,
  atMs: row.at_ms,
  action: row.action as AuditAction,
  linkId: row.link_id,
  deliveryId: row.delivery_id,
  keyCount: row.key_count,
  keySizeBits: row.key_size_bits,
  master: row.master,
  saes: JSON.parse(row.saes) as string[],
})

/** Who got what. Nothing is deleted here, so that the primary key SQLite gives is the last one plus 1. */
export const auditRows = ({ db }: RowContext): Pick<StoreTx, 'appendAudit' | 'readAudit'> => {
  const insert = db.prepare(`INSERT INTO audit (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`)
  const list = db.prepare<Row>(
    `SELECT sequence, ${COLUMNS} FROM audit WHERE sequence > ? ORDER BY sequence LIMIT ?`,
  )
  return {
    appendAudit(entry) {
      insert.run(
        entry.atMs,
        entry.action,
        entry.linkId,
        entry.deliveryId,
        entry.keyCount,
        entry.keySizeBits,
        entry.master,
        JSON.stringify(entry.saes),
      )
    },
    readAudit: (after, limit) => list.all(after, limit).map(entryOf),
  }
}
