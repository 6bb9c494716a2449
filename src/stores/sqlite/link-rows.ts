import type { KnownOfPeer } from '../../ports/peer.ts'
import type { Epoch, RestoredEnds } from '../../model/lane.ts'
import type { LinkId } from '../../model/ids.ts'
import type { LinkRow, StoreTx } from '../store-tx.ts'
import type { RowContext } from './context.ts'
import type { SqlValue } from './database.ts'

interface Row {
  readonly kme_id: string
  readonly peer_kme_id: string
  readonly life: number
  readonly greeted: number
  readonly counting: number
  readonly commit_counter: number
  readonly epoch_counter: number | null
  readonly epoch_id: string | null
  readonly peer_generation: string | null
  readonly peer_life: number | null
  readonly peer_commit_counter: number | null
  readonly last_batch: number
  readonly closed_told: number
  readonly restored: number
  readonly epoch_after_restore_of: string | null
  readonly epoch_agreed: number
  readonly changes: number
}

const COLUMNS = `kme_id, peer_kme_id, life, greeted, counting, commit_counter, epoch_counter,
  epoch_id, peer_generation, peer_life, peer_commit_counter, last_batch, closed_told, restored,
  epoch_after_restore_of, epoch_agreed, changes`

const epochOf = (row: Row): Epoch | null =>
  row.epoch_counter === null || row.epoch_id === null
    ? null
    : { counter: row.epoch_counter, id: row.epoch_id }

const peerOf = (row: Row): KnownOfPeer | null =>
  row.peer_life === null || row.peer_commit_counter === null
    ? null
    : {
        generation: row.peer_generation,
        life: row.peer_life,
        commitCounter: row.peer_commit_counter,
      }

const linkOf = (linkId: LinkId, row: Row): LinkRow => ({
  identity: { linkId, kmeId: row.kme_id, peerKmeId: row.peer_kme_id },
  life: row.life,
  greeted: row.greeted === 1,
  counting: row.counting === 1,
  commitCounter: row.commit_counter,
  epoch: epochOf(row),
  knownOfPeer: peerOf(row),
  lastBatch: row.last_batch,
  closedTold: row.closed_told === 1,
  restored: row.restored === 1,
  epochAfterRestoreOf: row.epoch_after_restore_of as RestoredEnds | null,
  epochAgreed: row.epoch_agreed === 1,
  changes: row.changes,
})

const epochValues = (epoch: Epoch | null): SqlValue[] =>
  epoch === null ? [null, null] : [epoch.counter, epoch.id]

const peerValues = (peer: KnownOfPeer | null): SqlValue[] =>
  peer === null ? [null, null, null] : [peer.generation, peer.life, peer.commitCounter]

const valuesOf = (row: LinkRow): SqlValue[] => [
  row.identity.kmeId,
  row.identity.peerKmeId,
  row.life,
  Number(row.greeted),
  Number(row.counting),
  row.commitCounter,
  ...epochValues(row.epoch),
  ...peerValues(row.knownOfPeer),
  row.lastBatch,
  Number(row.closedTold),
  Number(row.restored),
  row.epochAfterRestoreOf,
  Number(row.epochAgreed),
  row.changes,
]

/** One short row per link. */
export const linkRows = (
  context: RowContext,
): Pick<StoreTx, 'findLink' | 'listLinks' | 'writeLink'> => {
  const { db } = context
  const select = db.prepare<Row>(`SELECT ${COLUMNS} FROM link WHERE link = ?`)
  const all = db.prepare<Row & { readonly link: number }>(
    `SELECT link, ${COLUMNS} FROM link ORDER BY link`,
  )
  const write = db.prepare(
    `INSERT OR REPLACE INTO link (link, ${COLUMNS})
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  return {
    findLink(linkId) {
      const row = select.get(context.findLink(linkId))
      return row === undefined ? null : linkOf(linkId, row)
    },
    listLinks: () => all.all().map((row) => linkOf(context.linkIdOf(row.link), row)),
    writeLink(row) {
      write.run(context.ensureLink(row.identity.linkId), ...valuesOf(row))
    },
  }
}
