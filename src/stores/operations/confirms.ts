import type { Delivery, RegisteredSae } from '../../model/delivery.ts'
import type { LinkId } from '../../model/ids.ts'
import { sameEpoch } from '../../model/lane.ts'
import type { Moment } from '../../model/moment.ts'
import type { ConfirmOutcome } from '../../ports/delivery-store.ts'
import type { ConfirmMessage, Stamp } from '../../ports/peer.ts'
import type { OwnWrite, Stamped } from '../../ports/lane-store.ts'
import type { DeliveryId } from '../../model/key-id.ts'
import { wipe } from '../../support/wipe.ts'
import type { DeliveryRow, StoreTx } from '../store-tx.ts'
import { confirmOf, keepForSlaves } from './deliveries.ts'
import { auditDelivery, findDeliveryProblem, isFree, rangeOfDelivery } from './delivery-rows.ts'
import { entitleAll, findSlave } from './entitlements.ts'
import { isAllocatedByPeer } from './grants.ts'
import { applyOwn, applyStamped, lifeEnded } from './guard.ts'
import type { LinkChange } from './link-change.ts'

export const applyConfirms = (
  tx: StoreTx,
  linkId: LinkId,
  stamp: Stamp,
  confirms: readonly ConfirmMessage[],
  moment: Moment,
): Stamped<readonly ConfirmOutcome[]> =>
  applyStamped(tx, linkId, stamp, (change) =>
    confirms.map((confirm) => applyConfirm(change, confirm, moment)),
  )

/** What the peer answered to a question of ours, in the life and epoch in which it was asked. */
export const applyAnsweredConfirms = (
  tx: StoreTx,
  write: OwnWrite,
  confirms: readonly ConfirmMessage[],
  moment: Moment,
): readonly ConfirmOutcome[] =>
  applyOwn(tx, write, (change) => {
    if (!change.row.greeted) throw lifeEnded(change.linkId)
    return confirms.map((confirm) => applyConfirm(change, confirm, moment))
  })

export const listConfirmsFor = (
  tx: StoreTx,
  linkId: LinkId,
  stamp: Stamp,
  deliveryIds: readonly DeliveryId[],
  sae: RegisteredSae,
): Stamped<readonly ConfirmMessage[]> =>
  applyStamped(tx, linkId, stamp, () =>
    deliveryIds.flatMap((deliveryId) => {
      const row = tx.findDelivery(deliveryId)
      const isOwed = row?.linkId === linkId && row.remote === 'unconfirmed'
      return isOwed && findSlave(row.remoteSlaves, sae) ? [confirmOf(row)] : []
    }),
  )

const applyConfirm = (
  change: LinkChange,
  confirm: ConfirmMessage,
  moment: Moment,
): ConfirmOutcome => {
  const problem = findDeliveryProblem(confirm)
  if (problem) return refused(problem)
  const known = change.tx.findDelivery(confirm.deliveryId)
  if (known)
    return isSameDelivery(change, known, confirm) ? { outcome: 'done' } : clash(change, confirm)
  const range = rangeOfDelivery(confirm)
  const lane = change.lanes.state(confirm.lane)
  // The owner may allocate as soon as it knows that a batch is appended here, before `closed` comes.
  if (!isFree(lane, range, lane.appendedBytes)) return clash(change, confirm)
  if (!isAllocatedByPeer(change, confirm.lane, range))
    return refused('its range is not the sender’s')
  const stranger = findStranger(change, confirm)
  if (stranger) return refused(stranger)
  take(change, confirm, moment)
  return { outcome: 'done' }
}

const refused = (reason: string, conflict = false): ConfirmOutcome => ({
  outcome: 'refused',
  reason,
  conflict,
})

/** Its range or its ID is not free: an alarm where another delivery has it. */
const clash = (change: LinkChange, confirm: ConfirmMessage): ConfirmOutcome => {
  const { tx, linkId } = change
  const epoch = change.requireEpoch()
  const conflict =
    tx.hasDeliveryIn(linkId, epoch, confirm.lane, rangeOfDelivery(confirm)) ||
    tx.findDelivery(confirm.deliveryId) !== null
  return refused('its bytes are not free here', conflict)
}

const isSameDelivery = (change: LinkChange, row: DeliveryRow, confirm: ConfirmMessage): boolean => {
  const known = row.delivery
  return (
    row.linkId === change.linkId &&
    // Not one that was allocated here.
    row.remoteKmeId === null &&
    sameEpoch(row.epoch, change.row.epoch) &&
    known.lane === confirm.lane &&
    known.offset === confirm.offset &&
    known.keyLengthBytes === confirm.keyLengthBytes &&
    known.keyCount === confirm.keyCount &&
    known.timeToLiveMs === confirm.timeToLiveMs &&
    sameSae(known.master, confirm.master) &&
    sameSaes(row.slaves, confirm.slaves)
  )
}

const sameSae = (a: RegisteredSae, b: RegisteredSae | undefined): boolean =>
  a.saeId === b?.saeId && a.registrationId === b.registrationId

const sameSaes = (a: readonly RegisteredSae[], b: readonly RegisteredSae[]): boolean =>
  a.length === b.length && a.every((sae, i) => sameSae(sae, b[i]))

/** Why its SAEs are not who they should be; null where they are. */
const findStranger = (change: LinkChange, { master, slaves }: ConfirmMessage): string | null => {
  const { tx, linkId } = change
  if (tx.findPeerSae(linkId, master.saeId) !== master.registrationId) {
    return 'its master SAE is not in the list of the sender'
  }
  if (new Set(slaves.map(({ saeId }) => saeId)).size < slaves.length)
    return 'a slave SAE comes twice'
  const known = slaves.every(({ saeId, registrationId }) => tx.findOwnSae(saeId) === registrationId)
  return known ? null : 'a slave SAE is not registered here'
}

const take = (change: LinkChange, confirm: ConfirmMessage, moment: Moment): void => {
  const { tx, linkId } = change
  const epoch = change.requireEpoch()
  const { slaves } = confirm
  const delivery = deliveryOf(confirm)
  const bytes = change.take(delivery.lane, rangeOfDelivery(delivery))
  try {
    const row = tx.insertDelivery({
      linkId,
      epoch,
      delivery,
      slaves: entitleAll(slaves, delivery.keyCount),
      remoteSlaves: [],
      remoteKmeId: null,
      remote: 'none',
      expiresMs: moment.runningMs + delivery.timeToLiveMs,
    })
    keepForSlaves(change, row, bytes)
    auditDelivery(tx, row, 'held', moment, { saes: slaves.map(({ saeId }) => saeId) })
  } finally {
    wipe(bytes)
  }
}

/** What is kept of the message: no more than the delivery's own members. */
const deliveryOf = (confirm: ConfirmMessage): Delivery => {
  const { deliveryId, lane, offset, keyLengthBytes, keyCount, master, timeToLiveMs } = confirm
  return { deliveryId, lane, offset, keyLengthBytes, keyCount, master, timeToLiveMs }
}
