import type { StoreMeta, StoreTx } from '../store-tx.ts'
import type { RowContext } from './context.ts'

interface MetaRow {
  readonly generation: string
  readonly running_ms: number
}

type StoreRows = Pick<StoreTx, 'readMeta' | 'writeRunningMs'> &
  Pick<StoreTx, 'renewGeneration' | 'listFormerGenerations'>

/** What the store knows of itself. */
export const storeRows = ({ db }: RowContext): StoreRows => {
  const select = db.prepare<MetaRow>('SELECT generation, running_ms FROM store WHERE id = 1')
  const updateRunning = db.prepare('UPDATE store SET running_ms = ? WHERE id = 1')
  const keepGeneration = db.prepare(
    'INSERT INTO former_generation (generation) SELECT generation FROM store WHERE id = 1',
  )
  const updateGeneration = db.prepare('UPDATE store SET generation = ? WHERE id = 1')
  const former = db.prepare<{ generation: string }>(
    'SELECT generation FROM former_generation ORDER BY number',
  )
  return {
    readMeta(): StoreMeta {
      const row = select.get()
      if (row === undefined) throw new TypeError('the store has no row of its own')
      return { generation: row.generation, runningMs: row.running_ms }
    },
    writeRunningMs(runningMs) {
      updateRunning.run(runningMs)
    },
    renewGeneration(generation) {
      keepGeneration.run()
      updateGeneration.run(generation)
    },
    listFormerGenerations: () => former.all().map(({ generation }) => generation),
  }
}
