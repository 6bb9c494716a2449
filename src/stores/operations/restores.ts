import type { DeviceId, Generation, LinkId } from '../../model/ids.ts'
import type { Moment } from '../../model/moment.ts'
import type { Random } from '../../ports/clock.ts'
import type { OwnWrite, StoreStanding } from '../../ports/lane-store.ts'
import type { DeliveryRow, DeviceEnd, LinkRow, StoreTx } from '../store-tx.ts'
import { auditDelivery, heldBytes } from './delivery-rows.ts'
import { applyOwn, changeLink, requireLink } from './guard.ts'
import type { LinkChange } from './link-change.ts'

const GENERATION_BYTES = 16
const HELD_BATCH = 500

/** Returns whether it did anything. */
export const becomeRestored = (
  tx: StoreTx,
  random: Random,
  found: Generation,
  moment: Moment,
): boolean => {
  // Two links may find it at the same time.
  if (tx.readMeta().generation !== found) return false
  tx.renewGeneration(random.bytes(GENERATION_BYTES).toString('hex'))
  for (const row of tx.listLinks()) endLink(tx, row, moment)
  // Nor how much of their windows is over.
  tx.clearRedeliveries()
  return true
}

const endLink = (tx: StoreTx, row: LinkRow, moment: Moment): void => {
  changeLink(tx, row, (change) => {
    change.update({ restored: true, life: row.life + 1, greeted: false, counting: false })
    dropHeld(change, moment)
  })
}

/** Nobody knows which of it was fetched after the copy was made. */
const dropHeld = (change: LinkChange, moment: Moment): void => {
  const { tx, linkId } = change
  let rows = tx.listDeliveries(linkId, 0, HELD_BATCH)
  while (rows.length > 0) {
    for (const row of rows) if (heldBytes(row) > 0) dropDelivery(change, row, moment)
    rows = tx.listDeliveries(linkId, rows.at(-1)?.seq ?? 0, HELD_BATCH)
  }
}

const dropDelivery = (change: LinkChange, row: DeliveryRow, moment: Moment): void => {
  const { tx } = change
  change.move('held', 'dropped', heldBytes(row))
  tx.deleteHeld(row.seq)
  const slaves = row.slaves.map((slave) => ({
    ...slave,
    unfetched: Buffer.alloc(slave.unfetched.length),
  }))
  tx.updateDelivery({ ...row, slaves })
  auditDelivery(tx, row, 'dropped', moment)
}

export const readStanding = (tx: StoreTx): StoreStanding => ({
  generation: tx.readMeta().generation,
  formerGenerations: tx.listFormerGenerations(),
  links: tx.listLinks().map(({ identity, life, changes }) => ({
    linkId: identity.linkId,
    life,
    changes,
  })),
})

export const mustOpenAfresh = (
  tx: StoreTx,
  linkId: LinkId,
  deviceId: DeviceId,
  end: DeviceEnd,
): boolean =>
  requireLink(tx, linkId).epochAfterRestoreOf !== null && !tx.isFreshDevice(linkId, deviceId, end)

export const markOpenedAfresh = (
  tx: StoreTx,
  write: OwnWrite,
  deviceId: DeviceId,
  end: DeviceEnd,
): void => {
  applyOwn(tx, write, (change) => {
    tx.insertFreshDevice(write.linkId, deviceId, end)
    change.touch()
  })
}
