import type { StoreTx } from '../store-tx.ts'
import type { RowContext } from './context.ts'

/** Chunk numbers of one run: the lower part of a chunk's ID. */
export const RUN_SIZE = 2 ** 32

/** The rows of one link in one epoch, by what they are. */
type RunKind = 'block' | 'chunk'

/** Notes that a run has ended: from here on its rows are only there to be erased. */
export const endedRuns = ({ db }: RowContext, kind: RunKind): ((number: number) => void) => {
  const insert = db.prepare('INSERT INTO ended_run (kind, number) VALUES (?, ?)')
  return (number) => {
    insert.run(kind, number)
  }
}

interface Run {
  readonly kind: RunKind
  readonly number: number
}

/** Erases rows of runs that have ended, a few at a time. */
export const endedRunRows = ({ db }: RowContext): Pick<StoreTx, 'sweepEnded'> => {
  const next = db.prepare<Run>('SELECT kind, number FROM ended_run LIMIT 1')
  const finish = db.prepare('DELETE FROM ended_run WHERE kind = ? AND number = ?')
  const chunks = db.prepare(
    'DELETE FROM chunk WHERE id IN (SELECT id FROM chunk WHERE id >= ? AND id < ? LIMIT ?)',
  )
  const ofRun = 'seq IN (SELECT seq FROM block WHERE link = ? LIMIT ?)'
  const materials = db.prepare(`DELETE FROM block_material WHERE ${ofRun}`)
  const blocks = db.prepare(`DELETE FROM block WHERE ${ofRun}`)
  const erase = ({ kind, number }: Run, limit: number): number => {
    if (kind === 'chunk') {
      return chunks.run(number * RUN_SIZE, (number + 1) * RUN_SIZE, limit).changes
    }
    materials.run(number, limit)
    return blocks.run(number, limit).changes
  }
  return {
    sweepEnded(limit) {
      const run = next.get()
      if (run === undefined) return false
      if (erase(run, limit) < limit) finish.run(run.kind, run.number)
      return true
    },
  }
}
