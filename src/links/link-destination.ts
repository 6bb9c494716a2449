import type {
  Destination,
  DestinationLimits,
  IssueRequest,
  IssuedKeys,
} from '../ports/destination.ts'
import { KmeError, isKmeError } from '../errors.ts'
import type { LinkState, Session } from './link-state.ts'
import type { Confirmation, Confirmations } from './confirmations.ts'
import type { ConfirmMessage } from '../ports/peer.ts'
import type { DeliveryId } from '../model/key-id.ts'
import type { Devices } from './devices.ts'
import type { Greeter } from './greeter.ts'
import type { KmeId } from '../model/ids.ts'
import type { LinkParts } from './link-parts.ts'
import type { NewDelivery } from '../ports/delivery-store.ts'
import type { OwnLanes } from './own-lanes.ts'
import type { OwnWrite } from '../ports/lane-store.ts'
import type { DeliveryQuestion } from './delivery-question.ts'
import type { DeliveryIds } from './delivery-ids.ts'
import { type CarryOut, DeliveryBatches } from './delivery-batches.ts'
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
  readonly question: DeliveryQuestion
  /** Something is owed to the peer. */
  readonly owes: () => void
}

/** With `confirm: local`: messages to the peer that wait for an answer at once. */
const MOST_NOTICES = 4

/**
 * Issues keys over a link. `confirm: peer`: durable here and at the peer before a byte leaves;
 * `confirm: local`: durable here, and the peer is told.
 */
export class LinkDestination implements Destination {
  readonly targetKmeId: KmeId
  readonly limits: DestinationLimits
  readonly bring?: NonNullable<Destination['bring']>
  readonly #parts: LinkParts
  readonly #state: LinkState
  readonly #lanes: OwnLanes
  readonly #allocation: AllocationParts
  readonly #confirmations: Confirmations
  readonly #greeter: Greeter
  readonly #devices: Devices
  readonly #owes: () => void
  readonly #batches: DeliveryBatches

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
    // With `confirm: peer` the master has its keys only when they are known here: nothing to ask for.
    const { question } = parts
    if (!this.#waitsForPeer) this.bring = (deliveryIds, sae) => question.ask(deliveryIds, sae)
    this.#owes = parts.owes
    this.#batches = new DeliveryBatches((...batch) => this.#carryOut(...batch))
  }

  deliverableKeys(keyLengthBytes: number): number {
    const { allocating, introducedVersion, silent, session } = this.#state
    if (!allocating || introducedVersion === null) return 0
    if (this.#waitsForPeer && (silent || session === null)) return 0
    return this.#lanes.countKeys(keyLengthBytes)
  }

  provenance(): readonly string[] {
    return this.#devices.provenance()
  }

  async issue(request: IssueRequest): Promise<IssuedKeys> {
    const session = this.#readySession()
    const delivery = allocateDelivery(this.#allocation, request, this.targetKmeId)
    const material = await this.#batches.deliver(session, delivery)
    return { deliveryId: delivery.delivery.deliveryId, material }
  }

  #readySession(): Session {
    const { allocating, silent, reason, introducedVersion } = this.#state
    const { peerKmeId } = this.#parts.settings
    if (!allocating || (this.#waitsForPeer && this.#state.session === null)) {
      throw new KmeError('PEER_UNAVAILABLE', `KME ${peerKmeId} cannot confirm keys now: ${reason}`)
    }
    if (introducedVersion === null || (this.#waitsForPeer && silent)) {
      throw new KmeError('PEER_UNAVAILABLE', `KME ${peerKmeId} does not answer; try again later`)
    }
    return allocating
  }

  get #waitsForPeer(): boolean {
    return this.#parts.settings.confirm === 'peer'
  }

  /**
   * One batch: the commit here and the message to the peer run at the same time. What a crash or a
   * failed commit then leaves at the peer alone, hello marks as used.
   */
  async #carryOut(
    ...[session, deliveries, diskIsFree]: Parameters<CarryOut>
  ): Promise<readonly (Buffer | KmeError)[]> {
    const messages = deliveries.map(({ delivery, remoteSlaves }) =>
      confirmOf(delivery, remoteSlaves),
    )
    if (!this.#waitsForPeer) return this.#carryOutHere(session, deliveries, messages)
    // What was allocated in a session that has ended, and is not committed, never will be.
    if (this.#state.session !== session) throw startedAnew()
    const write = this.#state.ownWriteOf(session)
    // The message goes first, so that both disks sync at the same time.
    // Both in one turn: what a next session reads of the lane is queued behind this commit.
    const confirming = this.#confirmations.tell(session, messages)
    const committing = this.#commit(write, deliveries).finally(diskIsFree)
    const materials = await committing.catch(async (error: unknown) => {
      await confirming
      this.#confirmations.release(messages)
      throw error
    })
    const confirmations = await confirming
    return Promise.all(
      materials.map((material, i) =>
        this.#outcome(session, messages[i]?.deliveryId, material, confirmations[i]),
      ),
    )
  }

  /** The peer's part follows: what it is not told of at once, the courier brings. */
  async #carryOutHere(
    session: Session,
    deliveries: readonly NewDelivery[],
    messages: readonly ConfirmMessage[],
  ): Promise<readonly Buffer[]> {
    const { session: greeted, silent } = this.#state
    if (this.#state.allocating !== session) throw startedAnew()
    const write = this.#state.ownWriteOf(session)
    const isTold =
      greeted === session && !silent && this.#confirmations.messagesUnderWay < MOST_NOTICES
    if (isTold) void this.#confirmations.notify(session, messages)
    const materials = await this.#commit(write, deliveries)
    if (!isTold) this.#owes()
    return materials
  }

  async #commit(write: OwnWrite, deliveries: readonly NewDelivery[]): Promise<readonly Buffer[]> {
    try {
      return await this.#parts.store.commitDeliveries(write, deliveries, this.#parts.now())
    } catch (error) {
      throw this.#commitFailed(error)
    }
  }

  /** Nothing was delivered, but what was taken in memory cannot be taken back in this life. */
  #commitFailed(error: unknown): KmeError {
    if (isKmeError(error, 'LIFE_ENDED')) return startedAnew()
    this.#greeter.endLife('a commit of this KME failed')
    if (isKmeError(error, 'STORE_CORRUPT')) this.#parts.fatal(error)
    return new KmeError('NOT_READY', 'the key store of this KME cannot commit now', {
      cause: error,
    })
  }

  async #outcome(
    session: Session,
    deliveryId: DeliveryId | undefined,
    material: Buffer,
    confirmation: Confirmation | undefined,
  ): Promise<Buffer | KmeError> {
    if (confirmation === 'done') return material
    wipe(material)
    if (confirmation === 'refused' && deliveryId) await this.#refused(session, deliveryId)
    const { peerKmeId } = this.#parts.settings
    return new KmeError(
      'PEER_UNAVAILABLE',
      `KME ${peerKmeId} did not confirm the keys; they are not used`,
    )
  }

  /** Nobody has it and nobody will: the delivery ends whole. */
  async #refused(session: Session, deliveryId: DeliveryId): Promise<void> {
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
      this.#confirmations.release([{ deliveryId }])
    }
    this.#owes()
  }
}

const startedAnew = (): KmeError =>
  new KmeError('PEER_UNAVAILABLE', 'the link has just started anew; try again')
