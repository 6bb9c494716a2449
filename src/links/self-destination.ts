import type {
  Destination,
  DestinationLimits,
  IssueRequest,
  IssuedKeys,
} from '../ports/destination.ts'
import type { DeliveryIds } from './delivery-ids.ts'
import type { Devices } from './devices.ts'
import { KmeError, isKmeError } from '../errors.ts'
import type { KmeId } from '../model/ids.ts'
import type { LinkParts } from './link-parts.ts'
import type { LinkState } from './link-state.ts'
import type { OwnLanes } from './own-lanes.ts'
import { allocateDelivery } from './allocate-delivery.ts'

export interface SelfDestinationParts {
  readonly parts: LinkParts
  readonly state: LinkState
  readonly lanes: OwnLanes
  readonly ids: DeliveryIds
  readonly devices: Devices
  /** A commit failed: what was taken in memory cannot be taken back in this life. */
  readonly endLife: () => void
}

/** Issues keys between SAEs of this KME: durable here, and nobody else to ask. */
export class SelfDestination implements Destination {
  readonly targetKmeId: KmeId
  readonly limits: DestinationLimits
  readonly #with: SelfDestinationParts

  constructor(parts: SelfDestinationParts) {
    this.targetKmeId = parts.parts.settings.kmeId
    this.limits = parts.parts.settings.limits
    this.#with = parts
  }

  deliverableKeys(keyLengthBytes: number): number {
    return this.#with.state.session ? this.#with.lanes.countKeys(keyLengthBytes) : 0
  }

  provenance(): readonly string[] {
    return this.#with.devices.provenance()
  }

  async issue(request: IssueRequest): Promise<IssuedKeys> {
    const { parts, state } = this.#with
    const { session } = state
    if (!session) throw new KmeError('NOT_READY', `the link is not ready: ${state.reason}`)
    const entry = allocateDelivery(this.#with, request, null)
    try {
      const write = state.ownWriteOf(session)
      const [material] = await parts.store.commitDeliveries(write, [entry], parts.now())
      if (!material) throw new TypeError('one delivery, one material')
      return { deliveryId: entry.delivery.deliveryId, material }
    } catch (error) {
      if (isKmeError(error, 'STORE_CORRUPT')) parts.fatal(error)
      this.#with.endLife()
      throw new KmeError('NOT_READY', 'the key store of this KME cannot commit now', {
        cause: error,
      })
    }
  }
}
