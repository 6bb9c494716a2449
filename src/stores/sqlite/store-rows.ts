import type { StoreMeta, StoreTx } from '../store-tx.ts'
import type { RowContext } from './context.ts'

interface MetaRow {
  readonly generation: string
  readonly running_ms: number
  readonly former: number
}

/** What the store knows of itself. */
export const storeRows = ({ db }: RowContext): Pick<StoreTx, 'readMeta' | 'writeRunningMs'> => {
  const select = db.prepare<MetaRow>(
    `SELECT generation, running_ms, EXISTS (SELECT 1 FROM former_generation) AS former
     FROM store WHERE id = 1`,
  )
  const updateRunning = db.prepare('UPDATE store SET running_ms = ? WHERE id = 1')
  return {
    readMeta(): StoreMeta {
      const row = select.get()
      if (row === undefined) throw new TypeError('the store has no row of its own')
      return {
        generation: row.generation,
        hadGenerations: row.former === 1,
        runningMs: row.running_ms,
      }
    },
    writeRunningMs(runningMs) {
      updateRunning.run(runningMs)
    },
  }
}
