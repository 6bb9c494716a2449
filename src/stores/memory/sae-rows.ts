import { EMPTY_RECORD, nextHead } from '../../audit/chain.ts'
import type { RegistrationId, SaeId } from '../../model/ids.ts'
import type { SaeList } from '../../ports/delivery-store.ts'
import type { StoreTx } from '../store-tx.ts'
import { joinKey, type MemoryTables } from './memory-tables.ts'

type SaeRows = Pick<
  StoreTx,
  | 'readOwnSaes'
  | 'writeOwnSaes'
  | 'findOwnSae'
  | 'readPeerSaes'
  | 'writePeerSaes'
  | 'findPeerSae'
  | 'appendAudit'
  | 'readAudit'
>

const OWN = joinKey('own')
const ofPeer = (linkId: string): string => joinKey('peer', linkId)

/** Who is registered where, and the record of who got what. */
export const saeRows = (tables: MemoryTables): SaeRows => ({
  readOwnSaes: () => tables.saes.get(OWN) ?? null,
  writeOwnSaes: (list) => {
    tables.saes.set(OWN, list)
  },
  findOwnSae: (saeId) => find(tables.saes.get(OWN), saeId),
  readPeerSaes: (linkId) => tables.saes.get(ofPeer(linkId)) ?? null,
  writePeerSaes: (linkId, list) => {
    tables.saes.set(ofPeer(linkId), list)
  },
  findPeerSae: (linkId, saeId) => find(tables.saes.get(ofPeer(linkId)), saeId),
  appendAudit: (facts) => {
    const head = nextHead(tables.audit.get(tables.audit.size) ?? EMPTY_RECORD, facts)
    tables.audit.set(head.sequence, { ...facts, ...head })
  },
  readAudit: (after, limit) => {
    const last = Math.min(tables.audit.size, after + limit)
    return Array.from({ length: Math.max(0, last - after) }, (_, i) =>
      tables.audit.get(after + i + 1),
    ).filter((entry) => entry !== undefined)
  },
})

const find = (list: SaeList | undefined, saeId: SaeId): RegistrationId | null =>
  list?.saes.find((sae) => sae.saeId === saeId)?.registrationId ?? null
