import type { Ledger, LedgerState } from '../../model/ledger.ts'
import { LEDGER_STATES } from '../../model/ledger.ts'
import type { StoreTx } from '../store-tx.ts'
import type { RowContext } from './context.ts'

const COLUMN_OF: Readonly<Record<LedgerState, string>> = {
  unverified: 'unverified',
  sacrificed: 'sacrificed',
  ownLane: 'own_lane',
  otherLane: 'other_lane',
  granted: 'granted',
  held: 'held',
  delivered: 'delivered',
  expired: 'expired',
  dropped: 'dropped',
  quarantined: 'quarantined',
  combined: 'combined',
}

const COLUMNS = [
  'received',
  ...LEDGER_STATES.map((state) => COLUMN_OF[state]),
  'gap_blocks',
  'gap_bytes',
]

type Row = Readonly<Record<string, number>>

const ledgerOf = (row: Row): Ledger => ({
  receivedBytes: row['received'] ?? 0,
  bytes: Object.fromEntries(
    LEDGER_STATES.map((state) => [state, row[COLUMN_OF[state]] ?? 0]),
  ) as Record<LedgerState, number>,
  gapBlocks: row['gap_blocks'] ?? 0,
  gapBytes: row['gap_bytes'] ?? 0,
})

/** The counters of each link. */
export const ledgerRows = (context: RowContext): Pick<StoreTx, 'readLedger' | 'writeLedger'> => {
  const { db } = context
  const select = db.prepare<Row>(`SELECT ${COLUMNS.join(', ')} FROM ledger WHERE link = ?`)
  const write = db.prepare(
    `INSERT OR REPLACE INTO ledger (link, ${COLUMNS.join(', ')})
     VALUES (?, ${COLUMNS.map(() => '?').join(', ')})`,
  )
  return {
    readLedger(linkId) {
      const row = select.get(context.findLink(linkId))
      return row === undefined ? null : ledgerOf(row)
    },
    writeLedger(linkId, ledger) {
      write.run(
        context.ensureLink(linkId),
        ledger.receivedBytes,
        ...LEDGER_STATES.map((state) => ledger.bytes[state]),
        ledger.gapBlocks,
        ledger.gapBytes,
      )
    },
  }
}
