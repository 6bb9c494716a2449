import type { BatchVerdict } from '../../ports/peer.ts'
import type { StoreTx } from '../store-tx.ts'
import type { RowContext } from './context.ts'
import { decodeGroups, decodeJson, decodePieces, encodeGroups, encodePieces } from './json.ts'

interface ProposalColumns {
  readonly batch: number
  readonly tag: Buffer
  readonly pieces: string
}

interface VerdictColumns {
  readonly batch: number
  readonly tag: Buffer
  readonly verdict: string
}

type ProposalRows = Pick<StoreTx, 'readProposal' | 'writeProposal'>
type VerdictRows = Pick<StoreTx, 'readVerdict' | 'writeVerdict'>
type SuspectRows = Pick<StoreTx, 'readSuspects' | 'writeSuspects'>

/** Verifier: the proposal without a verdict. */
export const proposalRows = (context: RowContext): ProposalRows => {
  const { db } = context
  const select = db.prepare<ProposalColumns>(
    'SELECT batch, tag, pieces FROM proposal WHERE link = ?',
  )
  const remove = db.prepare('DELETE FROM proposal WHERE link = ?')
  const write = db.prepare(
    'INSERT OR REPLACE INTO proposal (link, batch, tag, pieces) VALUES (?, ?, ?, ?)',
  )
  return {
    readProposal(linkId) {
      const row = select.get(context.findLink(linkId))
      if (row === undefined) return null
      return { batch: row.batch, tag: row.tag, pieces: decodePieces(row.pieces) }
    },
    writeProposal(linkId, proposal) {
      if (proposal === null) {
        remove.run(context.findLink(linkId))
        return
      }
      const { batch, tag, pieces } = proposal
      write.run(context.ensureLink(linkId), batch, tag, encodePieces(pieces))
    },
  }
}

/** Follower: the last verdict. */
export const verdictRows = (context: RowContext): VerdictRows => {
  const { db } = context
  const select = db.prepare<VerdictColumns>(
    'SELECT batch, tag, verdict FROM verdict WHERE link = ?',
  )
  const remove = db.prepare('DELETE FROM verdict WHERE link = ?')
  const write = db.prepare(
    'INSERT OR REPLACE INTO verdict (link, batch, tag, verdict) VALUES (?, ?, ?, ?)',
  )
  return {
    readVerdict(linkId) {
      const row = select.get(context.findLink(linkId))
      if (row === undefined) return null
      const verdict = decodeJson(row.verdict, (found: BatchVerdict) => found)
      return { batch: row.batch, tag: row.tag, verdict }
    },
    writeVerdict(linkId, row) {
      if (row === null) {
        remove.run(context.findLink(linkId))
        return
      }
      write.run(context.ensureLink(linkId), row.batch, row.tag, JSON.stringify(row.verdict))
    },
  }
}

/** Groups of pieces to be proposed by themselves. */
export const suspectRows = (context: RowContext): SuspectRows => {
  const { db } = context
  const select = db.prepare<{ pieces: string }>('SELECT pieces FROM suspects WHERE link = ?')
  const remove = db.prepare('DELETE FROM suspects WHERE link = ?')
  const write = db.prepare('INSERT OR REPLACE INTO suspects (link, pieces) VALUES (?, ?)')
  return {
    readSuspects(linkId) {
      const row = select.get(context.findLink(linkId))
      return row === undefined ? [] : decodeGroups(row.pieces)
    },
    writeSuspects(linkId, suspects) {
      if (suspects.length === 0) remove.run(context.findLink(linkId))
      else write.run(context.ensureLink(linkId), encodeGroups(suspects))
    },
  }
}
