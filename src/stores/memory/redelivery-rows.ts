import type { StoreTx } from '../store-tx.ts'
import type { MemoryTables } from './memory-tables.ts'

type RedeliveryRows = Pick<StoreTx, 'insertRedelivery' | 'findRedelivery' | 'readRedelivery'> &
  Pick<StoreTx, 'deleteRedelivery' | 'listEndedRedeliveries' | 'nextRedeliveryEnd'> &
  Pick<StoreTx, 'restartRedeliveries' | 'clearRedeliveries'>

/** Answers that may be asked for again, and their bytes. */
export const redeliveryRows = (tables: MemoryTables): RedeliveryRows => ({
  insertRedelivery: (row, bytes) => {
    const seq = tables.nextSeq()
    const digest = row.digest.toString('hex')
    if (tables.redeliveriesByDigest.get(digest) !== undefined) {
      throw new TypeError('the answer is kept already')
    }
    tables.redeliveriesByDigest.set(digest, seq)
    tables.redeliveries.set(seq, { ...row, seq })
    tables.redelivered.write(seq, bytes)
  },
  findRedelivery: (digest) => {
    const seq = tables.redeliveriesByDigest.get(digest.toString('hex'))
    return seq === undefined ? null : (tables.redeliveries.get(seq) ?? null)
  },
  readRedelivery: ({ seq }) => tables.redelivered.read(seq),
  deleteRedelivery: (seq) => {
    deleteRow(tables, seq)
  },
  listEndedRedeliveries: (runningMs, limit) =>
    tables.redeliveries
      .values()
      .filter((row) => row.endsMs <= runningMs)
      .sort((a, b) => a.endsMs - b.endsMs)
      .slice(0, limit)
      .map(({ seq }) => seq),
  nextRedeliveryEnd: () => {
    if (tables.redeliveries.size === 0) return null
    return tables.redeliveries
      .values()
      .reduce((least, row) => Math.min(least, row.endsMs), Infinity)
  },
  restartRedeliveries: (runningMs) => {
    for (const row of tables.redeliveries.values()) {
      if (row.endsMs <= runningMs) continue
      const endsMs = Math.min(runningMs + row.windowMs, row.expiresMs)
      tables.redeliveries.set(row.seq, { ...row, endsMs })
    }
  },
  clearRedeliveries: () => {
    for (const { seq } of [...tables.redeliveries.values()]) deleteRow(tables, seq)
  },
})

const deleteRow = (tables: MemoryTables, seq: number): void => {
  const row = tables.redeliveries.get(seq)
  if (!row) return
  tables.redeliveriesByDigest.delete(row.digest.toString('hex'))
  tables.redeliveries.delete(seq)
  tables.redelivered.delete(seq)
}
