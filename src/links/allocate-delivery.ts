import { KmeError, isKmeError } from '../errors.ts'
import type { OwnLanes, TakenRange } from './own-lanes.ts'
import type { AllocationRequest } from './lane-allocator.ts'
import type { DeliveryIds } from './delivery-ids.ts'
import type { Devices } from './devices.ts'
import type { IssueRequest } from '../ports/destination.ts'
import type { KmeId } from '../model/ids.ts'
import type { LinkParts } from './link-parts.ts'
import type { NewDelivery } from '../ports/delivery-store.ts'
import { bitsOfBytes } from '../model/units.ts'

const LONGEST_ADVICE_S = 3600

export interface AllocationParts {
  readonly parts: LinkParts
  readonly lanes: OwnLanes
  readonly ids: DeliveryIds
  readonly devices: Devices
}

/**
 * Allocates a range for a delivery that `remoteKmeId` has to confirm (null: nobody). From here on
 * the range is spent, whatever becomes of the delivery.
 * @throws KmeError KEYS_EXHAUSTED, OPTIONS_NOT_MET: nothing was taken
 */
export const allocateDelivery = (
  { parts, lanes, ids, devices }: AllocationParts,
  request: IssueRequest,
  remoteKmeId: KmeId | null,
): NewDelivery => {
  const { keyLengthBytes, keyCount, master, localSlaves, remoteSlaves } = request
  const { lane, range } = takeRange(lanes, devices, {
    lengthBytes: keyLengthBytes * keyCount,
    nowMs: parts.now().runningMs,
    maxAgeMs: request.maxAgeMs,
  })
  return {
    delivery: {
      deliveryId: ids.next(),
      lane,
      offset: range.start,
      keyLengthBytes,
      keyCount,
      master: { saeId: master.saeId, registrationId: master.registrationId },
      timeToLiveMs: parts.settings.limits.keyLifetimeMs,
    },
    localSlaves,
    remoteSlaves,
    remoteKmeId,
  }
}

/** Where the lane is short and the rate is known, says when to come back. */
const takeRange = (lanes: OwnLanes, devices: Devices, request: AllocationRequest): TakenRange => {
  try {
    return lanes.take(request)
  } catch (error) {
    if (!isKmeError(error, 'KEYS_EXHAUSTED')) throw error
    const retryAfterS = secondsToFill(request.lengthBytes, devices.secretKeyRateBps())
    throw new KmeError(error.code, error.message, retryAfterS === null ? {} : { retryAfterS })
  }
}

/** Half of what the devices deliver goes to the lanes of this KME. */
const secondsToFill = (lengthBytes: number, rateBps: number | null): number | null => {
  if (rateBps === null || rateBps <= 0) return null
  const seconds = Math.ceil(bitsOfBytes(lengthBytes) / (rateBps / 2))
  return Math.min(LONGEST_ADVICE_S, Math.max(1, seconds))
}
