import type { StoreTx } from '../store-tx.ts'
import type { RowContext } from './context.ts'

interface SaeColumns {
  readonly sae_id: string
  readonly registration_id: string
}

interface RegistrationColumns {
  readonly registration_id: string
}

const saeOf = (row: SaeColumns): { saeId: string; registrationId: string } => ({
  saeId: row.sae_id,
  registrationId: row.registration_id,
})

type OwnSaeRows = Pick<StoreTx, 'readOwnSaes' | 'writeOwnSaes' | 'findOwnSae'>
type PeerSaeRows = Pick<StoreTx, 'readPeerSaes' | 'writePeerSaes' | 'findPeerSae'>

/** SAEs registered here, in the order in which they were written. */
export const ownSaeRows = ({ db }: RowContext): OwnSaeRows => {
  const version = db.prepare<{ own_saes_version: number | null }>(
    'SELECT own_saes_version FROM store WHERE id = 1',
  )
  const list = db.prepare<SaeColumns>(
    'SELECT sae_id, registration_id FROM own_sae ORDER BY position',
  )
  const find = db.prepare<RegistrationColumns>(
    'SELECT registration_id FROM own_sae WHERE sae_id = ?',
  )
  const writeVersion = db.prepare('UPDATE store SET own_saes_version = ? WHERE id = 1')
  const clear = db.prepare('DELETE FROM own_sae')
  const insert = db.prepare(
    'INSERT INTO own_sae (sae_id, registration_id, position) VALUES (?, ?, ?)',
  )
  return {
    readOwnSaes() {
      const known = version.get()?.own_saes_version ?? null
      return known === null ? null : { version: known, saes: list.all().map(saeOf) }
    },
    writeOwnSaes({ version: next, saes }) {
      writeVersion.run(next)
      clear.run()
      saes.forEach(({ saeId, registrationId }, i) => insert.run(saeId, registrationId, i))
    },
    findOwnSae: (saeId) => find.get(saeId)?.registration_id ?? null,
  }
}

/** SAEs that a peer told us of. */
export const peerSaeRows = (context: RowContext): PeerSaeRows => {
  const { db } = context
  const version = db.prepare<{ version: number }>(
    'SELECT version FROM peer_sae_list WHERE link = ?',
  )
  const list = db.prepare<SaeColumns>(
    'SELECT sae_id, registration_id FROM peer_sae WHERE link = ? ORDER BY position',
  )
  const find = db.prepare<RegistrationColumns>(
    'SELECT registration_id FROM peer_sae WHERE link = ? AND sae_id = ?',
  )
  const writeVersion = db.prepare(
    'INSERT OR REPLACE INTO peer_sae_list (link, version) VALUES (?, ?)',
  )
  const clear = db.prepare('DELETE FROM peer_sae WHERE link = ?')
  const insert = db.prepare(
    'INSERT INTO peer_sae (link, sae_id, registration_id, position) VALUES (?, ?, ?, ?)',
  )
  return {
    readPeerSaes(linkId) {
      const link = context.findLink(linkId)
      const known = version.get(link)?.version
      return known === undefined ? null : { version: known, saes: list.all(link).map(saeOf) }
    },
    writePeerSaes(linkId, { version: next, saes }) {
      const link = context.ensureLink(linkId)
      writeVersion.run(link, next)
      clear.run(link)
      saes.forEach(({ saeId, registrationId }, i) => insert.run(link, saeId, registrationId, i))
    },
    findPeerSae: (linkId, saeId) =>
      find.get(context.findLink(linkId), saeId)?.registration_id ?? null,
  }
}
