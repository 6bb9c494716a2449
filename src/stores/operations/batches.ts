import { KmeError } from '../../errors.ts'
import { refKey, totalLengthBytes, type Piece } from '../../model/block.ts'
import type { LinkId } from '../../model/ids.ts'
import type { MatchedLimit, MatchedPieces, OwnWrite, Proposal } from '../../ports/lane-store.ts'
import { wipe } from '../../support/wipe.ts'
import type { BlockRow, StoreTx } from '../store-tx.ts'
import { leftBytes } from './block-rows.ts'
import { applyOwn } from './guard.ts'

/** The first bytes of a batch: the one-time key of its proof, spent whatever the verdict. */
export const SACRIFICED_BYTES = 32

export const listMatched = (tx: StoreTx, linkId: LinkId, limit: MatchedLimit): MatchedPieces => {
  const rows: BlockRow[] = []
  let bytes = 0
  for (const row of tx.listMatched(linkId, limit.maxPieces)) {
    bytes += leftBytes(row)
    // A block that is longer than a batch goes by itself.
    if (rows.length > 0 && bytes > limit.maxBytes) break
    rows.push(row)
  }
  return {
    suspects: tx.readSuspects(linkId),
    pieces: rows.map((row) => ({
      ref: row.ref,
      offset: row.spentBytes,
      lengthBytes: leftBytes(row),
    })),
    oldestReceivedMs: rows.length === 0 ? null : oldest(rows),
  }
}

/** Running time at which the oldest of some blocks was received. */
export const oldest = (rows: readonly BlockRow[]): number =>
  rows.reduce((least, { receivedMs }) => Math.min(least, receivedMs), Infinity)

export const readPieces = (
  tx: StoreTx,
  linkId: LinkId,
  pieces: readonly Piece[],
): readonly (Buffer | null)[] => {
  const read: (Buffer | null)[] = []
  try {
    for (const piece of pieces) {
      const row = findPiece(tx, linkId, piece)
      const material = row && tx.readMaterial(row)
      read.push(material ? Buffer.from(material.subarray(piece.offset)) : null)
      wipe(material)
    }
    return read
  } catch (error) {
    wipe(...read)
    throw error
  }
}

/** The block of a piece, where it is here as named: to its end, with no byte that was spent here. */
export const findPiece = (tx: StoreTx, linkId: LinkId, piece: Piece): BlockRow | null => {
  const row = tx.findBlock(linkId, piece.ref)
  if (row?.state !== 'unverified') return null
  const { offset, lengthBytes } = piece
  return offset >= row.spentBytes && offset + lengthBytes === row.lengthBytes ? row : null
}

/** Why pieces are no batch, whatever is here of them; null where they are one. */
export const findBatchProblem = (pieces: readonly Piece[]): string | null => {
  const sound = pieces.every(
    ({ offset, lengthBytes }) =>
      Number.isSafeInteger(offset) &&
      offset >= 0 &&
      Number.isSafeInteger(lengthBytes) &&
      lengthBytes > 0,
  )
  if (!sound) return 'a piece has no length'
  if (new Set(pieces.map(({ ref }) => refKey(ref))).size < pieces.length)
    return 'a block comes twice'
  if (totalLengthBytes(pieces) < SACRIFICED_BYTES) return 'there are too few bytes for a proof'
  return null
}

export const openProposal = (tx: StoreTx, write: OwnWrite, proposal: Proposal): void => {
  applyOwn(tx, write, (change) => {
    const { linkId, row } = change
    const { batch, pieces } = proposal
    if (change.end !== 'verifier' || change.isSelf) throw new TypeError('the verifier proposes')
    if (batch !== row.lastBatch + 1) throw new TypeError(`batch ${row.lastBatch + 1} is the next`)
    if (tx.readProposal(linkId)) throw new TypeError('a proposal is open')
    const problem = findBatchProblem(pieces)
    if (problem) throw new TypeError(`no batch: ${problem}`)
    for (const piece of pieces) {
      // Spent bytes must never be a key or part of a batch again.
      if (findPiece(tx, linkId, piece)?.spentBytes === piece.offset) continue
      throw new KmeError(
        'INTERNAL',
        `link ${linkId}: a block of batch ${batch} has changed since it was read; compose it anew`,
      )
    }
    tx.writeProposal(linkId, proposal)
    change.touch()
  })
}
