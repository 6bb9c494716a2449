import type { Epoch, RestoredEnds } from '../../model/lane.ts'
import type { LinkId } from '../../model/ids.ts'
import type { Random } from '../../ports/clock.ts'
import type { KnownOfPeer } from '../../ports/peer.ts'
import type { LinkSnapshot, OwnWrite } from '../../ports/lane-store.ts'
import type { StoreTx } from '../store-tx.ts'
import { applyOwn } from './guard.ts'
import { renewFingerprintKey } from './fingerprint.ts'
import { savedSnapshot } from './links.ts'

const END_BATCH = 500

/** Who was restored before an epoch was made, and what is known of the peer from then on. */
export interface EpochBeginning {
  readonly epoch: Epoch
  readonly peer: KnownOfPeer
  readonly afterRestoreOf: RestoredEnds | null
}

export const beginEpoch = (
  tx: StoreTx,
  random: Random,
  write: OwnWrite,
  { epoch, peer, afterRestoreOf }: EpochBeginning,
): LinkSnapshot =>
  applyOwn(tx, write, (change) => {
    const { linkId, row } = change
    if (row.epoch && epoch.counter <= row.epoch.counter) {
      throw new TypeError(
        `link ${linkId}: epoch ${epoch.counter} is not after ${row.epoch.counter}`,
      )
    }
    for (const state of ['unverified', 'ownLane', 'otherLane', 'granted'] as const) {
      change.moveAll(state, 'dropped')
    }
    dropRows(tx, linkId)
    renewFingerprintKey(tx, linkId, random)
    if (isAnother(row.knownOfPeer, peer)) restartSaeVersions(tx, linkId)
    change.update({
      ...{ epoch, epochAfterRestoreOf: afterRestoreOf, epochAgreed: false, restored: false },
      ...{ knownOfPeer: peer, greeted: false, lastBatch: 0, closedTold: true },
    })
    return savedSnapshot(change)
  })

const dropRows = (tx: StoreTx, linkId: LinkId): void => {
  tx.deleteBlocks(linkId)
  tx.deleteLanes(linkId)
  tx.deleteCheckpoints(linkId)
  tx.deleteFreshDevices(linkId)
  tx.deletePendingDrops(linkId)
  tx.deletePendingGrants(linkId)
  tx.writeProposal(linkId, null)
  tx.writeVerdict(linkId, null)
  tx.writeSuspects(linkId, [])
  // Their lane is gone, so there is nothing left to confirm; what slaves here hold stays.
  let open = tx.listUnconfirmed(linkId, END_BATCH)
  while (open.length > 0) {
    for (const delivery of open) tx.updateDelivery({ ...delivery, remote: 'none' })
    open = tx.listUnconfirmed(linkId, END_BATCH)
  }
}

/** Another store of the peer counts its lists from where it was: any of them is news. */
const restartSaeVersions = (tx: StoreTx, linkId: LinkId): void => {
  const list = tx.readPeerSaes(linkId)
  if (list) tx.writePeerSaes(linkId, { version: 0, saes: list.saes })
}

const isAnother = (known: KnownOfPeer | null, peer: KnownOfPeer): boolean =>
  peer.generation === null || known?.generation !== peer.generation
