import type { LaneDrop } from '../../ports/delivery-store.ts'
import type { LaneGrant } from '../../ports/lane-store.ts'
import type { LinkId } from '../../model/ids.ts'
import type { StoreTx } from '../store-tx.ts'
import type { MemoryTable } from './memory-table.ts'
import type { MemoryTables } from './memory-tables.ts'

type DropRows = Pick<
  StoreTx,
  'insertPendingDrop' | 'listPendingDrops' | 'deletePendingDrop' | 'deletePendingDrops'
>
type GrantRows = Pick<
  StoreTx,
  'insertPendingGrant' | 'listPendingGrants' | 'deletePendingGrant' | 'deletePendingGrants'
>
type LaneRange = LaneDrop & LaneGrant

/** Ranges consumed for no delivery, of which the peer has to be told. */
export const dropRows = ({ drops }: MemoryTables): DropRows => ({
  insertPendingDrop: (linkId, drop) => {
    insert(drops, linkId, drop)
  },
  listPendingDrops: (linkId, limit) => (drops.get(linkId) ?? []).slice(0, limit),
  deletePendingDrop: (linkId, drop) => {
    remove(drops, linkId, drop)
  },
  deletePendingDrops: (linkId) => {
    drops.delete(linkId)
  },
})

/** Ranges that were granted, of which the peer has to be told. */
export const grantRows = ({ grants }: MemoryTables): GrantRows => ({
  insertPendingGrant: (linkId, grant) => {
    insert(grants, linkId, grant)
  },
  listPendingGrants: (linkId, limit) => (grants.get(linkId) ?? []).slice(0, limit),
  deletePendingGrant: (linkId, grant) => {
    remove(grants, linkId, grant)
  },
  deletePendingGrants: (linkId) => {
    grants.delete(linkId)
  },
})

type Ranges = MemoryTable<string, readonly LaneRange[]>

const insert = (table: Ranges, linkId: LinkId, added: LaneRange): void => {
  table.set(linkId, [...(table.get(linkId) ?? []), added])
}

const remove = (table: Ranges, linkId: LinkId, { lane, range }: LaneRange): void => {
  const ranges = table.get(linkId) ?? []
  const rest = ranges.filter(
    (one) => one.lane !== lane || one.range.start !== range.start || one.range.end !== range.end,
  )
  if (rest.length < ranges.length) table.set(linkId, rest)
}
