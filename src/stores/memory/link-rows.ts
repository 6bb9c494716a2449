import type { StoreMeta, StoreTx } from '../store-tx.ts'
import { joinKey, type MemoryTables } from './memory-tables.ts'

type LinkRows = Pick<
  StoreTx,
  | 'readMeta'
  | 'writeRunningMs'
  | 'findLink'
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
  | 'readFingerprintKey'
  | 'writeFingerprintKey'
>

/** The store, its links, and what is one row per link. */
export const linkRows = (tables: MemoryTables): LinkRows => ({
  readMeta: () => readMeta(tables),
  writeRunningMs: (runningMs) => {
    tables.meta.set('', { ...readMeta(tables), runningMs })
  },
  findLink: (linkId) => tables.links.get(linkId) ?? null,
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
  readFingerprintKey: (linkId) => tables.fingerprintKeys.read(linkId),
  writeFingerprintKey: (linkId, key) => {
    tables.fingerprintKeys.write(linkId, key)
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
