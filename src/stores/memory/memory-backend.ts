import { KmeError } from '../../errors.ts'
import type { Random } from '../../ports/clock.ts'
import type { StoreBackend, StoreTx } from '../store-tx.ts'
import { Journal } from './journal.ts'
import { MemoryTables } from './memory-tables.ts'
import { memoryTx } from './memory-tx.ts'

const GENERATION_BYTES = 16

/** Rows in the memory of this process; a transaction is what its journal can undo. */
export class MemoryBackend implements StoreBackend {
  readonly poisoned = false
  readonly #journal = new Journal()
  readonly #tables: MemoryTables
  readonly #tx: StoreTx
  #closed = false

  constructor(random: Random) {
    this.#tables = new MemoryTables(this.#journal, random.bytes(GENERATION_BYTES).toString('hex'))
    this.#tx = memoryTx(this.#journal, this.#tables)
  }

  transact<T>(work: (tx: StoreTx) => T): T {
    if (this.#closed) throw new KmeError('STORE_FAILED', 'the store is closed')
    try {
      const value = work(this.#tx)
      this.#journal.commit()
      return value
    } catch (error) {
      this.#journal.rollbackTo(0)
      throw error
    }
  }

  close(): void {
    this.#closed = true
    this.#tables.wipe()
  }
}
