import type { RedeliveryRow, StoreTx } from '../store-tx.ts'
import type { RowContext } from './context.ts'
import { decodeJson } from './json.ts'
import type { RowName } from './sealed-rows.ts'
import { sealedRows } from './sealed-rows.ts'

interface Row {
  readonly seq: number
  readonly digest: Buffer
  readonly window_ms: number
  readonly expires_ms: number
  readonly ends_ms: number
  readonly key_lengths: string
}

type RedeliveryRows = Pick<StoreTx, 'insertRedelivery' | 'findRedelivery' | 'readRedelivery'> &
  Pick<StoreTx, 'deleteRedelivery' | 'listEndedRedeliveries' | 'nextRedeliveryEnd'> &
  Pick<StoreTx, 'restartRedeliveries' | 'clearRedeliveries'>

const rowOf = (row: Row): RedeliveryRow => ({
  seq: row.seq,
  digest: row.digest,
  windowMs: row.window_ms,
  expiresMs: row.expires_ms,
  endsMs: row.ends_ms,
  keyLengths: decodeJson(row.key_lengths, (lengths: readonly number[]) => lengths),
})

const nameOf = ({ digest, keyLengths }: Omit<RedeliveryRow, 'seq'>): RowName => [
  digest.toString('hex'),
  ...keyLengths,
]

/** Answers that may be asked for again, and their bytes. */
export const redeliveryRows = (context: RowContext): RedeliveryRows => {
  const { db } = context
  const material = sealedRows(context, 'redelivery_material', 'seq')
  const insert = db.prepare(
    `INSERT INTO redelivery (digest, window_ms, expires_ms, ends_ms, key_lengths)
     VALUES (?, ?, ?, ?, ?)`,
  )
  const select = db.prepare<Row>('SELECT * FROM redelivery WHERE digest = ?')
  const remove = db.prepare('DELETE FROM redelivery WHERE seq = ?')
  const ended = db.prepare<Pick<Row, 'seq'>>(
    'SELECT seq FROM redelivery WHERE ends_ms <= ? ORDER BY ends_ms LIMIT ?',
  )
  const soonest = db.prepare<{ ends_ms: number | null }>(
    'SELECT min(ends_ms) AS ends_ms FROM redelivery',
  )
  const restart = db.prepare(
    'UPDATE redelivery SET ends_ms = min(? + window_ms, expires_ms) WHERE ends_ms > ?',
  )
  const clear = ['redelivery_material', 'redelivery'].map((table) =>
    db.prepare(`DELETE FROM ${table}`),
  )
  return {
    insertRedelivery(row, bytes) {
      const { digest, windowMs, expiresMs, endsMs, keyLengths } = row
      const lengths = JSON.stringify(keyLengths)
      const { lastInsertRowid } = insert.run(digest, windowMs, expiresMs, endsMs, lengths)
      material.write(Number(lastInsertRowid), nameOf(row), bytes)
    },
    findRedelivery(digest) {
      const row = select.get(digest)
      return row === undefined ? null : rowOf(row)
    },
    readRedelivery: (row) => material.read(row.seq, nameOf(row)),
    deleteRedelivery(seq) {
      material.delete(seq)
      remove.run(seq)
    },
    listEndedRedeliveries: (runningMs, limit) => ended.all(runningMs, limit).map(({ seq }) => seq),
    nextRedeliveryEnd: () => soonest.get()?.ends_ms ?? null,
    restartRedeliveries(runningMs) {
      restart.run(runningMs, runningMs)
    },
    clearRedeliveries() {
      for (const table of clear) table.run()
    },
  }
}
