import { EMPTY_RECORD, nextHead, type AuditHead } from '../../audit/chain.ts'
import type { AuditAction, AuditEntry } from '../../ports/audit.ts'
import type { StoreTx } from '../store-tx.ts'
import type { RowContext } from './context.ts'
import type { Database } from './database.ts'
import { decodeJson } from './json.ts'

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
  readonly chain: Buffer
}

const COLUMNS = `at_ms, action, link_id, delivery_id, key_count, key_size_bits, master, saes, chain`

const entryOf = (row: Row): AuditEntry => ({
  sequence: row.sequence,
  atMs: row.at_ms,
  action: row.action as AuditAction,
  linkId: row.link_id,
  deliveryId: row.delivery_id,
  keyCount: row.key_count,
  keySizeBits: row.key_size_bits,
  master: row.master,
  saes: decodeJson(row.saes, (saes: readonly string[]) => saes),
  chain: row.chain,
})

const readHead = (db: Database): (() => AuditHead) => {
  const last = db.prepare<AuditHead>(
    'SELECT sequence, chain FROM audit ORDER BY sequence DESC LIMIT 1',
  )
  return () => last.get() ?? EMPTY_RECORD
}

/** Who got what: rows are added, none is changed or deleted. */
export const auditRows = (context: RowContext): Pick<StoreTx, 'appendAudit' | 'readAudit'> => {
  const { db } = context
  // Read once, and again after a rollback: that of the database may be an earlier one then.
  const head = context.remember(readHead(db))
  const insert = db.prepare(
    `INSERT INTO audit (sequence, ${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const list = db.prepare<Row>(
    `SELECT sequence, ${COLUMNS} FROM audit WHERE sequence > ? ORDER BY sequence LIMIT ?`,
  )
  return {
    appendAudit(facts) {
      const { sequence, chain } = nextHead(head.get(), facts)
      insert.run(
        sequence,
        facts.atMs,
        facts.action,
        facts.linkId,
        facts.deliveryId,
        facts.keyCount,
        facts.keySizeBits,
        facts.master,
        JSON.stringify(facts.saes),
        chain,
      )
      head.set({ sequence, chain })
    },
    readAudit: (after, limit) => list.all(after, limit).map(entryOf),
  }
}

/** So many rows at a time: a record may be long. */
const PAGE = 1000

/** Schema 2: chains the rows of a record that has no chain yet. */
export const chainRecord = (db: Database): void => {
  const page = db.prepare<Row>(
    `SELECT sequence, ${COLUMNS} FROM audit WHERE sequence > ? ORDER BY sequence LIMIT ${PAGE}`,
  )
  const update = db.prepare('UPDATE audit SET chain = ? WHERE sequence = ?')
  let head = EMPTY_RECORD
  for (;;) {
    const rows = page.all(head.sequence)
    for (const row of rows) {
      head = nextHead(head, entryOf(row))
      update.run(head.chain, row.sequence)
    }
    if (rows.length < PAGE) return
  }
}
