import { totalLengthBytes, type BlockRef, type Piece } from '../../model/block.ts'
import type { LaneStretch } from '../../ports/lane-store.ts'
import { wipe } from '../../support/wipe.ts'
import type { BlockRow } from '../store-tx.ts'
import { appendBytes } from './append.ts'
import { oldest, SACRIFICED_BYTES } from './batches.ts'
import { endBlock, leftBytes, LEAST_SUSPECT_BYTES, materialFrom } from './block-rows.ts'
import type { LinkChange } from './link-change.ts'

/** A piece of a batch, how much of its beginning is sacrificed, and its block here. */
export interface Portion {
  readonly piece: Piece
  readonly spentBytes: number
  readonly row: BlockRow
}

/** Which bytes of a batch are sacrificed: its first ones, over as many pieces as that takes. */
export const portionsOf = (pieces: readonly Piece[]): readonly Omit<Portion, 'row'>[] => {
  let open = SACRIFICED_BYTES
  return pieces.map((piece) => {
    const spentBytes = Math.min(open, piece.lengthBytes)
    open -= spentBytes
    return { piece, spentBytes }
  })
}

/**
 * Sacrifices a portion's bytes here, and those before it that only the other end had counted as
 * spent. A block of which nothing is left is done with. Returns the block as it is then.
 */
export const spend = (change: LinkChange, { piece, spentBytes, row }: Portion): BlockRow => {
  const spent = { ...row, spentBytes: piece.offset + spentBytes }
  change.move('unverified', 'sacrificed', spent.spentBytes - row.spentBytes)
  change.touch()
  if (leftBytes(spent) > 0) change.tx.updateBlock(spent)
  else endBlock(change, spent, 'verified', 'sacrificed')
  return spent
}

/** The blocks were equal at both ends: what is left of them goes to the lanes. */
export const appendPortions = (
  change: LinkChange,
  spent: readonly BlockRow[],
): readonly LaneStretch[] => {
  const rows = spent.filter((row) => leftBytes(row) > 0)
  if (rows.length === 0) return []
  const joined = Buffer.alloc(rows.reduce((sum, row) => sum + leftBytes(row), 0))
  try {
    let filled = 0
    for (const row of rows) {
      const material = materialFrom(change, row, row.spentBytes)
      filled += material.copy(joined, filled)
      wipe(material)
      change.tx.deleteMaterial(row.seq)
      change.tx.updateBlock({ ...row, state: 'verified' })
    }
    return appendBytes(change, joined, oldest(rows))
  } finally {
    wipe(joined)
  }
}

export interface Parted {
  readonly quarantined: readonly BlockRef[]
  readonly suspects: readonly (readonly Piece[])[]
}

/**
 * The blocks differ somewhere: halves are to be proposed by themselves, a single block is
 * quarantined, and so is a half that is too short to be proven equal. Both ends come to the same.
 */
export const partUnequal = (change: LinkChange, spent: readonly BlockRow[]): Parted => {
  const rows = spent.filter((row) => leftBytes(row) > 0)
  const groups = rows.length > 1 ? halve(rows) : []
  const isSound = (group: readonly BlockRow[]): boolean => bytesOf(group) >= LEAST_SUSPECT_BYTES
  const lost = rows.length > 1 ? groups.filter((group) => !isSound(group)).flat() : rows
  for (const row of lost) endBlock(change, row, 'quarantined', 'quarantined')
  return {
    quarantined: lost.map(({ ref }) => ref),
    suspects: groups.filter(isSound).map((group) => group.map(pieceOf)),
  }
}

const pieceOf = (row: BlockRow): Piece => ({
  ref: row.ref,
  offset: row.spentBytes,
  lengthBytes: leftBytes(row),
})

const bytesOf = (rows: readonly BlockRow[]): number => totalLengthBytes(rows.map(pieceOf))

/** Two groups of whole blocks, in order, each as near to half of the bytes as that allows. */
const halve = (rows: readonly BlockRow[]): readonly (readonly BlockRow[])[] => {
  const half = bytesOf(rows) / 2
  let count = 0
  let bytes = 0
  for (const row of rows.slice(0, -1)) {
    if (count > 0 && bytes + leftBytes(row) / 2 > half) break
    bytes += leftBytes(row)
    count += 1
  }
  return [rows.slice(0, count), rows.slice(count)]
}
