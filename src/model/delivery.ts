import type { DeliveryId } from './key-id.ts'
import type { RegistrationId, SaeId } from './ids.ts'
import type { LaneName } from './lane.ts'

/** An SAE as one registration of it: see RegistrationId. */
export interface RegisteredSae {
  readonly saeId: SaeId
  readonly registrationId: RegistrationId
}

/**
 * What one Get key call returned: `keyCount` keys of `keyLengthBytes` each, which are one range of
 * a lane, for the master SAE and its slaves.
 */
export interface Delivery {
  readonly deliveryId: DeliveryId
  readonly lane: LaneName
  /** Absolute offset of the range in its lane; its length is keyCount x keyLengthBytes. */
  readonly offset: number
  readonly keyLengthBytes: number
  readonly keyCount: number
  readonly master: RegisteredSae
  /** How long the keys are kept for those that have not fetched, in running time of each KME. */
  readonly timeToLiveMs: number
}

export const deliveryLengthBytes = (delivery: {
  readonly keyLengthBytes: number
  readonly keyCount: number
}): number => delivery.keyLengthBytes * delivery.keyCount
