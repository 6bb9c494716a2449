import { KmeError } from '../../errors.ts'
import { refKey, totalLengthBytes, type BlockRef, type Piece } from '../../model/block.ts'
import type { LedgerState } from '../../model/ledger.ts'
import type { AnnouncedBlock } from '../../ports/peer.ts'
import type { BlockRow, BlockState } from '../store-tx.ts'
import type { LinkChange } from './link-change.ts'

/** Fewer bytes than this cannot be proven equal: half of them would be the proof's key. */
export const LEAST_SUSPECT_BYTES = 64

/** Bytes that were not sacrificed. */
export const leftBytes = (row: BlockRow): number => row.lengthBytes - row.spentBytes

export const announcedOf = (row: BlockRow): AnnouncedBlock => ({
  ref: row.ref,
  lengthBytes: row.lengthBytes,
})

/** Ends an unverified block: what is left of it goes to `to`, its bytes are erased. */
export const endBlock = (
  change: LinkChange,
  row: BlockRow,
  state: Exclude<BlockState, 'awaited' | 'unverified'>,
  to: LedgerState,
): void => {
  if (row.suspect) forgetSuspects(change, [row.ref])
  change.move('unverified', to, leftBytes(row))
  change.tx.deleteMaterial(row.seq)
  const kept = state === 'gone' ? { end: null, fingerprint: null } : {}
  change.tx.updateBlock({ ...row, ...kept, state, suspect: false })
  change.touch()
}

/**
 * Whether the block is in the proposal that waits for its verdict: then the verdict alone decides
 * about it, for the other end may have appended it already.
 */
export const isProposed = (change: LinkChange, row: BlockRow): boolean => {
  const proposal = change.tx.readProposal(change.linkId)
  const key = refKey(row.ref)
  return proposal?.pieces.some(({ ref }) => refKey(ref) === key) ?? false
}

/** Quarantines an unverified block, unless its verdict is under way. */
export const quarantine = (change: LinkChange, row: BlockRow): void => {
  if (row.state !== 'unverified' || isProposed(change, row)) return
  endBlock(change, row, 'quarantined', 'quarantined')
}

/**
 * Takes refs out of the groups of suspects. A group of which too little is left to be proposed by
 * itself goes back among the others.
 */
export const forgetSuspects = (change: LinkChange, refs: readonly BlockRef[]): void => {
  const groups = change.tx.readSuspects(change.linkId)
  if (groups.length === 0) return
  const forgotten = new Set(refs.map(refKey))
  const rest = groups.map((group) => group.filter(({ ref }) => !forgotten.has(refKey(ref))))
  for (const group of rest) {
    if (totalLengthBytes(group) < LEAST_SUSPECT_BYTES) releaseGroup(change, group)
  }
  change.tx.writeSuspects(
    change.linkId,
    rest.filter((group) => totalLengthBytes(group) >= LEAST_SUSPECT_BYTES),
  )
}

const releaseGroup = (change: LinkChange, group: readonly Piece[]): void => {
  for (const { ref } of group) {
    const row = change.tx.findBlock(change.linkId, ref)
    if (row) change.tx.updateBlock({ ...row, suspect: false })
  }
}

/** The bytes of an unverified block from `offset` on. The caller wipes them. */
export const materialFrom = (change: LinkChange, row: BlockRow, offset: number): Buffer => {
  const material = change.tx.readMaterial(row)
  if (material?.length !== row.lengthBytes) {
    throw new KmeError('STORE_CORRUPT', `link ${change.linkId}: a block has lost its bytes`)
  }
  if (offset === 0) return material
  const rest = Buffer.from(material.subarray(offset))
  material.fill(0)
  return rest
}
