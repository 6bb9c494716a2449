import type { StoreTx } from '../store-tx.ts'
import { blockRows } from './block-rows.ts'
import { deliveryRows } from './delivery-rows.ts'
import type { Journal } from './journal.ts'
import { laneRows } from './lane-rows.ts'
import { linkRows } from './link-rows.ts'
import { dropRows, grantRows } from './pending-rows.ts'
import type { MemoryTables } from './memory-tables.ts'
import { redeliveryRows } from './redelivery-rows.ts'
import { saeRows } from './sae-rows.ts'

/** A transaction over the tables; there is one at a time, so it is always the same object. */
export const memoryTx = (journal: Journal, tables: MemoryTables): StoreTx => ({
  savepoint: (work) => {
    const { mark } = journal
    try {
      return work()
    } catch (error) {
      journal.rollbackTo(mark)
      throw error
    }
  },
  ...linkRows(tables),
  ...blockRows(tables),
  ...laneRows(tables),
  // Here what ends is erased at once.
  sweepEnded: () => false,
  ...deliveryRows(tables),
  ...dropRows(tables),
  ...grantRows(tables),
  ...redeliveryRows(tables),
  ...saeRows(tables),
})
