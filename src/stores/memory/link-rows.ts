import type { StoreMeta, StoreTx } from '../store-tx.ts'
import { joinKey, type MemoryTables } from './memory-tables.ts'

type LinkRows = Pick<
  StoreTx,
  | 'readMeta'
  | 'writeRunningMs'
  | 'dropUnusedKeys'
  | 'renewGeneration'
  | 'listFormerGenerations'
  | 'findLink'
  | 'listLinks'
  | 'writeLink'
  | 'readLedger'
  | 'writeLedger'
  | 'readProposal'
  | 'writeProposal'
  | 'readVerdict'
  | 'writeVerdict'
  | 'readSuspects'
  | 'writeSuspects'
  | 'readCheckpoint'
  | 'writeCheckpoint'
  | 'deleteCheckpoints'
  | 'isFreshDevice'
  | 'insertFreshDevice'
  | 'deleteFreshDevices'
  | 'readFingerprintKey'
  | 'writeFingerprintKey'
>

/** The store, its links, and what is one row per link. */
export const linkRows = (tables: MemoryTables): LinkRows => ({
  readMeta: () => readMeta(tables),
  writeRunningMs: (runningMs) => {
    tables.meta.set('', { ...readMeta(tables), runningMs })
  },
  // Nothing is sealed in memory.
  dropUnusedKeys: () => undefined,
  renewGeneration: (generation) => {
    const meta = readMeta(tables)
    tables.formerGenerations.set(tables.formerGenerations.size, meta.generation)
    tables.meta.set('', { ...meta, generation })
  },
  listFormerGenerations: () => tables.formerGenerations.values(),
  findLink: (linkId) => tables.links.get(linkId) ?? null,
  listLinks: () => tables.links.values(),
  writeLink: (row) => {
    tables.links.set(row.identity.linkId, row)
  },
  readLedger: (linkId) => tables.ledgers.get(linkId) ?? null,
  writeLedger: (linkId, ledger) => {
    tables.ledgers.set(linkId, ledger)
  },
  readProposal: (linkId) => tables.proposals.get(linkId) ?? null,
  writeProposal: (linkId, proposal) => {
    if (proposal) tables.proposals.set(linkId, { ...proposal, tag: Buffer.from(proposal.tag) })
    else tables.proposals.delete(linkId)
  },
  readVerdict: (linkId) => tables.verdicts.get(linkId) ?? null,
  writeVerdict: (linkId, verdict) => {
    if (verdict) tables.verdicts.set(linkId, { ...verdict, tag: Buffer.from(verdict.tag) })
    else tables.verdicts.delete(linkId)
  },
  readSuspects: (linkId) => tables.suspects.get(linkId) ?? [],
  writeSuspects: (linkId, suspects) => {
    tables.suspects.set(linkId, suspects)
  },
  ...deviceRows(tables),
  readFingerprintKey: (linkId) => tables.fingerprintKeys.read(linkId),
  writeFingerprintKey: (linkId, key) => {
    tables.fingerprintKeys.write(linkId, key)
  },
})

type DeviceRows = Pick<
  LinkRows,
  | 'readCheckpoint'
  | 'writeCheckpoint'
  | 'deleteCheckpoints'
  | 'isFreshDevice'
  | 'insertFreshDevice'
  | 'deleteFreshDevices'
>

/** What is kept of each device of a link. */
const deviceRows = (tables: MemoryTables): DeviceRows => ({
  readCheckpoint: (linkId, deviceId) => {
    const checkpoint = tables.checkpoints.get(joinKey(linkId, deviceId))
    return checkpoint ? Buffer.from(checkpoint) : null
  },
  writeCheckpoint: (linkId, deviceId, checkpoint) => {
    tables.checkpoints.set(joinKey(linkId, deviceId), Buffer.from(checkpoint))
  },
  deleteCheckpoints: (linkId) => {
    for (const [key] of tables.checkpoints.entries()) {
      if (isOf(key, linkId)) tables.checkpoints.delete(key)
    }
  },
  isFreshDevice: (linkId, deviceId, end) =>
    tables.freshDevices.get(joinKey(linkId, deviceId, end)) !== undefined,
  insertFreshDevice: (linkId, deviceId, end) => {
    tables.freshDevices.set(joinKey(linkId, deviceId, end), true)
  },
  deleteFreshDevices: (linkId) => {
    for (const [key] of tables.freshDevices.entries()) {
      if (isOf(key, linkId)) tables.freshDevices.delete(key)
    }
  },
})

/** Whether a joined key begins with the link's name. */
export const isOf = (key: string, linkId: string): boolean =>
  key.startsWith(`${joinKey(linkId).slice(0, -1)},`)

const readMeta = (tables: MemoryTables): StoreMeta => {
  const meta = tables.meta.get('')
  if (!meta) throw new TypeError('the tables were not made')
  return meta
}
