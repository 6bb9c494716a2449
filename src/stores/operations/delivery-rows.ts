import type { AuditAction } from '../../ports/audit.ts'
import { MAX_KEYS_PER_DELIVERY } from '../../model/key-id.ts'
import { deliveryLengthBytes, type Delivery } from '../../model/delivery.ts'
import { bitsOfBytes } from '../../model/units.ts'
import type { LaneState } from '../../model/lane.ts'
import type { Moment } from '../../model/moment.ts'
import { overlaps, rangeOf, type Range } from '../../model/range.ts'
import type { SaeId } from '../../model/ids.ts'
import type { DeliveryRow, StoreTx } from '../store-tx.ts'
import { countAwaited } from './entitlements.ts'

export const rangeOfDelivery = (delivery: Delivery): Range =>
  rangeOf(delivery.offset, deliveryLengthBytes(delivery))

/** Bytes that are kept for slaves here. */
export const heldBytes = ({ delivery, slaves }: DeliveryRow): number =>
  countAwaited(slaves, delivery.keyCount) * delivery.keyLengthBytes

/** Why a delivery cannot be, whatever its range; null where it can. */
export const findDeliveryProblem = (delivery: Delivery): string | null => {
  const { deliveryId, offset, keyLengthBytes, keyCount, timeToLiveMs } = delivery
  const counts = [keyLengthBytes, keyCount, timeToLiveMs].every(
    (value) => Number.isSafeInteger(value) && value > 0,
  )
  if (!counts || keyCount > MAX_KEYS_PER_DELIVERY) return 'its sizes are off'
  if (!Number.isSafeInteger(offset) || offset < 0) return 'its offset is off'
  return deliveryId.length === 16 ? null : 'its ID has not 16 bytes'
}

/** Whether the range lies below `limitBytes` and no byte of it is consumed. */
export const isFree = (lane: LaneState, range: Range, limitBytes: number): boolean =>
  range.start >= 0 && range.end <= limitBytes && !overlaps(lane.consumed, range)

export const auditDelivery = (
  tx: StoreTx,
  row: Omit<DeliveryRow, 'seq'>,
  action: AuditAction,
  moment: Moment,
  details: { readonly saes?: readonly SaeId[]; readonly keyCount?: number } = {},
): void => {
  const { linkId, delivery } = row
  tx.appendAudit({
    atMs: moment.wallMs,
    action,
    linkId,
    deliveryId: delivery.deliveryId.toString('hex'),
    keyCount: details.keyCount ?? delivery.keyCount,
    keySizeBits: bitsOfBytes(delivery.keyLengthBytes),
    master: delivery.master.saeId,
    saes: details.saes ?? [],
  })
}
