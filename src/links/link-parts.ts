import type { Clock, Random } from '../ports/clock.ts'
import type { DeliveryStore, SaeList } from '../ports/delivery-store.ts'
import type { DestinationLimits } from '../ports/destination.ts'
import type { DeviceId, KmeId, LinkId } from '../model/ids.ts'
import type { DeviceRole, QkdDriver } from '../ports/qkd-driver.ts'
import type { LaneStore } from '../ports/lane-store.ts'
import type { Moment } from '../model/moment.ts'
import type { Observer } from '../ports/observer.ts'

/** What every part of a link works with. */
export interface LinkParts {
  readonly settings: LinkSettings
  readonly store: LaneStore & DeliveryStore
  readonly clock: Clock
  readonly random: Random
  readonly now: () => Moment
  readonly observer: Observer
  /** The SAEs registered at this KME. */
  readonly ownSaes: () => SaeList
  /** The store can no longer be trusted: the KME must stop. */
  readonly fatal: (error: unknown) => void
}

export interface LinkSettings {
  readonly linkId: LinkId
  readonly kmeId: KmeId
  readonly peerKmeId: KmeId
  /** Whose durable record a master waits for; at both ends of a link the same. */
  readonly confirm: 'peer' | 'local'
  /** How long a delivery waits for the peer. */
  readonly confirmDeadlineMs: number
  readonly limits: DestinationLimits
  /** Key that was received longer ago is dropped, never delivered; null: no limit. */
  readonly maxAgeMs: number | null
  /** Key of both lanes and unverified blocks together at which devices are told to pause, and to go on. */
  readonly poolBytes: number
  readonly highWaterFraction: number
  readonly lowWaterFraction: number
  readonly devices: readonly DeviceSettings[]
}

export interface DeviceSettings {
  readonly deviceId: DeviceId
  readonly role: DeviceRole
  /** How long a block that only one end has is waited for. */
  readonly settleMs: number
  readonly createDriver: () => QkdDriver
}
