import { KmeError } from '../../errors.ts'
import type { DeliveryId } from '../../model/key-id.ts'
import { deliveryLengthBytes } from '../../model/delivery.ts'
import type { LinkId } from '../../model/ids.ts'
import type { Moment } from '../../model/moment.ts'
import type { ConfirmMessage } from '../../ports/peer.ts'
import type { NewDelivery } from '../../ports/delivery-store.ts'
import type { OwnWrite } from '../../ports/lane-store.ts'
import { wipe } from '../../support/wipe.ts'
import type { DeliveryRow, StoreTx } from '../store-tx.ts'
import { auditDelivery, findDeliveryProblem, heldBytes, rangeOfDelivery } from './delivery-rows.ts'
import { entitleAll } from './entitlements.ts'
import { isAllocatable } from './grants.ts'
import { applyOwn, lifeEnded } from './guard.ts'
import type { LinkChange } from './link-change.ts'

export const commitDeliveries = (
  tx: StoreTx,
  write: OwnWrite,
  deliveries: readonly NewDelivery[],
  moment: Moment,
): readonly Buffer[] => {
  const taken: Buffer[] = []
  try {
    applyOwn(tx, write, (change) => {
      // The peer has begun a life that knows nothing of this allocation's: hello comes first.
      if (!change.row.greeted && !change.isSelf) throw lifeEnded(change.linkId)
      for (const delivery of deliveries) taken.push(commitDelivery(change, delivery, moment))
    })
    return taken
  } catch (error) {
    wipe(...taken)
    throw error
  }
}

const commitDelivery = (change: LinkChange, created: NewDelivery, moment: Moment): Buffer => {
  const { delivery, localSlaves, remoteSlaves, remoteKmeId } = created
  const { tx, linkId } = change
  const epoch = change.requireEpoch()
  assertAllocatable(change, created)
  const bytes = change.take(delivery.lane, rangeOfDelivery(delivery))
  try {
    const row = tx.insertDelivery({
      linkId,
      epoch,
      delivery,
      slaves: entitleAll(localSlaves, delivery.keyCount),
      remoteSlaves,
      remoteKmeId,
      remote: remoteKmeId === null ? 'none' : 'unconfirmed',
      expiresMs: moment.runningMs + delivery.timeToLiveMs,
    })
    keepForSlaves(change, row, bytes)
    const saes = [...localSlaves, ...remoteSlaves].map(({ saeId }) => saeId)
    auditDelivery(tx, row, 'delivered', moment, { saes })
    return bytes
  } catch (error) {
    wipe(bytes)
    throw error
  }
}

/** Bytes that were taken are kept where slaves here may fetch them; else they are gone. */
export const keepForSlaves = (change: LinkChange, row: DeliveryRow, bytes: Buffer): void => {
  if (row.slaves.length === 0) return
  change.tx.writeHeld(row, bytes)
  change.move('delivered', 'held', bytes.length)
}

const assertAllocatable = (change: LinkChange, { delivery }: NewDelivery): void => {
  const { tx, linkId } = change
  const isSound =
    findDeliveryProblem(delivery) === null &&
    isAllocatable(change, delivery.lane, rangeOfDelivery(delivery)) &&
    tx.findDelivery(delivery.deliveryId) === null
  if (isSound) return
  throw new KmeError(
    'INTERNAL',
    `link ${linkId}: bytes ${delivery.offset} to ${delivery.offset + deliveryLengthBytes(delivery)} ` +
      `of the ${delivery.lane}'s lane are not free; the allocator is out of step with the store`,
  )
}

export const listUnconfirmed = (
  tx: StoreTx,
  linkId: LinkId,
  limit: number,
): readonly ConfirmMessage[] => tx.listUnconfirmed(linkId, limit).map(confirmOf)

/** What the peer is told of a delivery of ours. */
export const confirmOf = ({ delivery, remoteSlaves }: DeliveryRow): ConfirmMessage => ({
  kind: 'confirm',
  ...delivery,
  slaves: remoteSlaves,
})

export const markConfirmed = (
  tx: StoreTx,
  write: OwnWrite,
  deliveryIds: readonly DeliveryId[],
): void => {
  applyOwn(tx, write, (change) => {
    for (const deliveryId of deliveryIds) {
      const row = findUnconfirmed(change, deliveryId)
      if (!row) continue
      tx.updateDelivery({ ...row, remote: 'confirmed' })
      change.touch()
    }
  })
}

export const refuseDelivery = (
  tx: StoreTx,
  write: OwnWrite,
  deliveryId: DeliveryId,
  whole: boolean,
  moment: Moment,
): void => {
  applyOwn(tx, write, (change) => {
    const row = findUnconfirmed(change, deliveryId)
    if (!row) return
    const { delivery } = row
    // The peer retained nothing of it, so its bytes are still in the lane there.
    tx.insertPendingDrop(change.linkId, { lane: delivery.lane, range: rangeOfDelivery(delivery) })
    change.touch()
    if (whole) endWhole(change, row, moment)
    else endAtPeer(tx, row, moment)
  })
}

/** No SAE has it or will: the caller still waits and gets nothing. */
const endWhole = (change: LinkChange, row: DeliveryRow, moment: Moment): void => {
  const held = heldBytes(row)
  change.move('held', 'dropped', held)
  change.move('delivered', 'dropped', deliveryLengthBytes(row.delivery) - held)
  change.tx.deleteDelivery(row.seq)
  auditDelivery(change.tx, row, 'refused', moment)
}

/** Slaves here may hold theirs, and the master may have it. */
const endAtPeer = (tx: StoreTx, row: DeliveryRow, moment: Moment): void => {
  tx.updateDelivery({ ...row, remote: 'none' })
  const saes = row.remoteSlaves.map(({ saeId }) => saeId)
  auditDelivery(tx, row, 'refused', moment, { saes })
}

const findUnconfirmed = (change: LinkChange, deliveryId: DeliveryId): DeliveryRow | null => {
  const row = change.tx.findDelivery(deliveryId)
  return row?.linkId === change.linkId && row.remote === 'unconfirmed' ? row : null
}
