import { KmeError, isKmeError } from '../errors.ts'
import type { OwnLanes, TakenRange } from './own-lanes.ts'
import type { AllocationRequest } from './lane-allocator.ts'
import type { Devices } from './devices.ts'
import { bitsOfBytes } from '../model/units.ts'

const LONGEST_ADVICE_S = 3600

/** Takes a range; where the lane is short and the rate is known, says when to come back. */
export const takeRange = (
  lanes: OwnLanes,
  devices: Devices,
  request: AllocationRequest,
): TakenRange => {
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
