import { refKey } from '../../model/block.ts'
import type { BlockRow, StoreTx } from '../store-tx.ts'
import { joinKey, type MemoryTables } from './memory-tables.ts'

type BlockRows = Pick<
  StoreTx,
  | 'findBlock'
  | 'insertBlock'
  | 'updateBlock'
  | 'deleteBlock'
  | 'readMaterial'
  | 'deleteMaterial'
  | 'listUnannounced'
  | 'listMatched'
  | 'listUnmatched'
  | 'listAwaited'
  | 'sumUnverified'
  | 'deleteBlocks'
>

/** Blocks; lists look only at those that are awaited or unverified, of which there are few. */
export const blockRows = (tables: MemoryTables): BlockRows => ({
  findBlock: (linkId, ref) => {
    const seq = tables.blocksByRef.get(keyOf({ linkId, ref }))
    return seq === undefined ? null : (tables.blocks.get(seq) ?? null)
  },
  insertBlock: (block, material) => {
    const row = { ...block, seq: tables.nextSeq() }
    const key = keyOf(row)
    if (tables.blocksByRef.get(key) !== undefined) throw new TypeError('the block is there already')
    tables.blocksByRef.set(key, row.seq)
    put(tables, row)
    if (material) tables.materials.write(row.seq, material)
    return row
  },
  updateBlock: (row) => {
    put(tables, row)
  },
  deleteBlock: (seq) => {
    remove(tables, seq)
  },
  readMaterial: (row) => tables.materials.read(row.seq),
  deleteMaterial: (seq) => {
    tables.materials.delete(seq)
  },
  ...blockLists(tables),
  deleteBlocks: (linkId) => {
    for (const row of tables.blocks.values()) if (row.linkId === linkId) remove(tables, row.seq)
  },
})

type BlockLists = Pick<
  BlockRows,
  'listUnannounced' | 'listMatched' | 'listUnmatched' | 'listAwaited' | 'sumUnverified'
>

const blockLists = (tables: MemoryTables): BlockLists => {
  const unverified = (linkId: string): readonly BlockRow[] =>
    openBlocks(tables, linkId).filter((row) => row.state === 'unverified')
  return {
    listUnannounced: (linkId, limit) =>
      unverified(linkId)
        .filter((row) => !row.announced)
        .slice(0, limit),
    listMatched: (linkId, limit) =>
      unverified(linkId)
        .filter((row) => row.announced && row.matched && !row.suspect)
        .slice(0, limit),
    listUnmatched: (linkId, deviceId, receivedBeforeMs, limit) =>
      unverified(linkId)
        .filter((row) => row.ref.deviceId === deviceId)
        .filter((row) => !row.matched && row.receivedMs < receivedBeforeMs)
        .slice(0, limit),
    listAwaited: (linkId, deviceId, limit) =>
      openBlocks(tables, linkId)
        .filter((row) => row.state === 'awaited' && row.ref.deviceId === deviceId)
        .slice(0, limit),
    sumUnverified: (linkId) =>
      unverified(linkId).reduce((sum, row) => sum + row.lengthBytes - row.spentBytes, 0),
  }
}

const keyOf = ({ linkId, ref }: Pick<BlockRow, 'linkId' | 'ref'>): string =>
  joinKey(linkId, refKey(ref))

const openBlocks = (tables: MemoryTables, linkId: string): readonly BlockRow[] =>
  tables.openBlocks
    .values()
    .filter((row) => row.linkId === linkId)
    // What was rolled back stands at the end of the table.
    .sort((a, b) => a.seq - b.seq)

const put = (tables: MemoryTables, row: BlockRow): void => {
  tables.blocks.set(row.seq, row)
  if (row.state === 'awaited' || row.state === 'unverified') tables.openBlocks.set(row.seq, row)
  else tables.openBlocks.delete(row.seq)
}

const remove = (tables: MemoryTables, seq: number): void => {
  const row = tables.blocks.get(seq)
  if (!row) return
  tables.blocksByRef.delete(keyOf(row))
  tables.blocks.delete(seq)
  tables.openBlocks.delete(seq)
  tables.materials.delete(seq)
}
