import type {
  Destination,
  DestinationLimits,
  IssueRequest,
  IssuedKeys,
} from '../ports/destination.ts'
import { KmeError, isKmeError } from '../errors.ts'
import type { LinkState, Session } from './link-state.ts'
import type { Confirmations } from './confirmations.ts'
import type { Devices } from './devices.ts'
import type { Greeter } from './greeter.ts'
import type { KmeId } from '../model/ids.ts'
import type { LinkParts } from './link-parts.ts'
import type { NewDelivery } from '../ports/delivery-store.ts'
import type { OwnLanes } from './own-lanes.ts'
import type { DeliveryIds } from './delivery-ids.ts'
import { SharedCommits } from './shared-commits.ts'
import { allocateDelivery } from './allocate-delivery.ts'
import type { AllocationParts } from './allocate-delivery.ts'
import { confirmOf } from './confirm-message.ts'
import { wipe } from '../support/wipe.ts'

export interface LinkDestinationParts {
  readonly parts: LinkParts
  readonly state: LinkState
  readonly lanes: OwnLanes
  readonly ids: DeliveryIds
  readonly confirmations: Confirmations
  readonly greeter: Greeter
  readonly devices: Devices
  /** Something is owed to the peer. */
  readonly owes: () => void
}

/** Issues keys over a link, `confirm: peer`: durable here and at the peer before a byte leaves. */
export class LinkDestination implements Destination {
  readonly targetKmeId: KmeId
  readonly limits: DestinationLimits
  readonly #parts: LinkParts
  readonly #state: LinkState
  readonly #lanes: OwnLanes
  readonly #allocation: AllocationParts
  readonly #confirmations: Confirmations
  readonly #greeter: Greeter
  readonly #devices: Devices
  readonly #owes: () => void
  readonly #commits: SharedCommits

  constructor(parts: LinkDestinationParts) {
    this.targetKmeId = parts.parts.settings.peerKmeId
    this.limits = parts.parts.settings.limits
    this.#parts = parts.parts
    this.#state = parts.state
    this.#lanes = parts.lanes
    this.#allocation = parts
    this.#confirmations = parts.confirmations
    this.#greeter = parts.greeter
    this.#devices = parts.devices
    this.#owes = parts.owes
    // The session is checked when the commit is called, in the same turn: what was taken in an
    // earlier one and is not committed yet never will be.
    this.#commits = new SharedCommits((session, deliveries) =>
      this.#parts.store.commitDeliveries(
        this.#state.ownWriteOf(session),
        deliveries,
        this.#parts.now(),
      ),
    )
  }

  deliverableKeys(keyLengthBytes: number): number {
    if (this.#state.introducedVersion === null || this.#state.silent) return 0
    return this.#lanes.countKeys(keyLengthBytes)
  }

  provenance(): readonly string[] {
    return this.#devices.provenance()
  }

  async issue(request: IssueRequest): Promise<IssuedKeys> {
    const session = this.#readySession()
    const delivery = allocateDelivery(this.#allocation, request, this.targetKmeId)
    const { deliveryId } = delivery.delivery
    this.#confirmations.claim(deliveryId)
    const material = await this.#commit(session, delivery)
    try {
      await this.#confirmed(session, delivery)
      return { deliveryId, material }
    } catch (error) {
      wipe(material)
      throw error
    }
  }

  #readySession(): Session {
    const { session, silent, reason } = this.#state
    const { peerKmeId } = this.#parts.settings
    if (!session) {
      throw new KmeError('PEER_UNAVAILABLE', `KME ${peerKmeId} cannot confirm keys now: ${reason}`)
    }
    if (silent || this.#state.introducedVersion === null) {
      throw new KmeError('PEER_UNAVAILABLE', `KME ${peerKmeId} does not answer; try again later`)
    }
    return session
  }

  async #commit(session: Session, delivery: NewDelivery): Promise<Buffer> {
    try {
      return await this.#commits.commit(session, delivery)
    } catch (error) {
      this.#confirmations.release(delivery.delivery.deliveryId)
      throw this.#commitFailed(error)
    }
  }

  /** Nothing was delivered, but what was taken in memory cannot be taken back in this life. */
  #commitFailed(error: unknown): KmeError {
    if (isKmeError(error, 'LIFE_ENDED')) {
      return new KmeError('PEER_UNAVAILABLE', 'the link has just started anew; try again')
    }
    this.#greeter.endLife('a commit of this KME failed')
    if (isKmeError(error, 'STORE_CORRUPT')) this.#parts.fatal(error)
    return new KmeError('NOT_READY', 'the key store of this KME cannot commit now', {
      cause: error,
    })
  }

  async #confirmed(session: Session, { delivery, remoteSlaves }: NewDelivery): Promise<void> {
    const { peerKmeId } = this.#parts.settings
    const message = confirmOf(delivery, remoteSlaves)
    const confirmation = await this.#confirmations.confirm(session, message)
    if (confirmation === 'done') return
    if (confirmation === 'refused') await this.#refused(session, delivery.deliveryId)
    throw new KmeError(
      'PEER_UNAVAILABLE',
      `KME ${peerKmeId} did not confirm the keys; they are not used`,
    )
  }

  /** Nobody has it and nobody will: the delivery ends whole. */
  async #refused(session: Session, deliveryId: Buffer): Promise<void> {
    const { store, now, observer, settings } = this.#parts
    observer.alarm({
      name: 'confirm-refused',
      severity: 'minor',
      linkId: settings.linkId,
      message: `link ${settings.linkId}: KME ${settings.peerKmeId} refused a delivery; its key is dropped`,
    })
    try {
      await store.refuseDelivery(this.#state.ownWriteOf(session), deliveryId, true, now())
    } catch {
      // The courier asks again, and is refused again.
    } finally {
      this.#confirmations.release(deliveryId)
    }
    this.#owes()
  }
}
