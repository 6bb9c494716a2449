import type { AuditEntry } from '../ports/audit.ts'
import type { Random } from '../ports/clock.ts'
import type {
  ConfirmOutcome,
  DeliveryStore,
  FetchedKeys,
  FetchRequest,
  LaneDrop,
  NewDelivery,
  SaeList,
} from '../ports/delivery-store.ts'
import type { LinkSnapshot, OwnWrite, Stamped } from '../ports/lane-store.ts'
import type { ConfirmMessage, Stamp } from '../ports/peer.ts'
import type { DeliveryId } from '../model/key-id.ts'
import type { RegisteredSae } from '../model/delivery.ts'
import type { LinkId, SaeId } from '../model/ids.ts'
import type { LaneName } from '../model/lane.ts'
import type { Moment } from '../model/moment.ts'
import type { RangeSet } from '../model/range.ts'
import { wipe } from '../support/wipe.ts'
import type { CommitQueue } from './commit-queue.ts'
import { RestorableStore } from './restorable-store.ts'
import * as confirms from './operations/confirms.ts'
import * as deliveries from './operations/deliveries.ts'
import * as drops from './operations/drops.ts'
import * as expiry from './operations/expiry.ts'
import * as fetching from './operations/fetch.ts'
import * as saes from './operations/saes.ts'

/** What waits for a peer is refused more long before there are so many. */
const COUNT_LIMIT = 100_000

/** The part of a store that delivery sees. */
export class DeliveringStore extends RestorableStore implements DeliveryStore {
  readonly #queue: CommitQueue
  readonly #random: Random

  constructor(queue: CommitQueue, random: Random) {
    super(queue, random)
    this.#queue = queue
    this.#random = random
  }

  registerSaes(saeIds: readonly SaeId[]): Promise<SaeList> {
    return this.#queue.run((tx) => saes.registerSaes(tx, this.#random, saeIds))
  }

  commitDeliveries(
    write: OwnWrite,
    created: readonly NewDelivery[],
    moment: Moment,
  ): Promise<readonly Buffer[]> {
    return this.#queue.run((tx) => deliveries.commitDeliveries(tx, write, created, moment), wipeAll)
  }

  applyConfirms(
    linkId: LinkId,
    stamp: Stamp,
    messages: readonly ConfirmMessage[],
    moment: Moment,
  ): Promise<Stamped<readonly ConfirmOutcome[]>> {
    return this.#queue.run((tx) => confirms.applyConfirms(tx, linkId, stamp, messages, moment))
  }

  listConfirmsFor(
    linkId: LinkId,
    stamp: Stamp,
    deliveryIds: readonly DeliveryId[],
    sae: RegisteredSae,
  ): Promise<Stamped<readonly ConfirmMessage[]>> {
    return this.#queue.run((tx) => confirms.listConfirmsFor(tx, linkId, stamp, deliveryIds, sae))
  }

  listUnknown(deliveryIds: readonly DeliveryId[]): Promise<readonly DeliveryId[]> {
    return this.#queue.run((tx) => deliveryIds.filter((id) => tx.findDelivery(id) === null))
  }

  applyAnsweredConfirms(
    write: OwnWrite,
    messages: readonly ConfirmMessage[],
    moment: Moment,
  ): Promise<readonly ConfirmOutcome[]> {
    return this.#queue.run((tx) => confirms.applyAnsweredConfirms(tx, write, messages, moment))
  }

  listUnconfirmed(linkId: LinkId, limit: number): Promise<readonly ConfirmMessage[]> {
    return this.#queue.run((tx) => deliveries.listUnconfirmed(tx, linkId, limit))
  }

  countUnconfirmed(linkId: LinkId): Promise<number> {
    return this.#queue.run((tx) => tx.listUnconfirmed(linkId, COUNT_LIMIT).length)
  }

  markConfirmed(write: OwnWrite, deliveryIds: readonly DeliveryId[]): Promise<void> {
    return this.#queue.runWithNext((tx) => {
      deliveries.markConfirmed(tx, write, deliveryIds)
    })
  }

  refuseDelivery(
    write: OwnWrite,
    deliveryId: DeliveryId,
    whole: boolean,
    moment: Moment,
  ): Promise<void> {
    return this.#queue.run((tx) => {
      deliveries.refuseDelivery(tx, write, deliveryId, whole, moment)
    })
  }

  listPendingDrops(linkId: LinkId, limit: number): Promise<readonly LaneDrop[]> {
    return this.#queue.run((tx) => tx.listPendingDrops(linkId, limit))
  }

  dropAged(write: OwnWrite, aged: readonly LaneDrop[]): Promise<LinkSnapshot> {
    return this.#queue.run((tx) => drops.dropAged(tx, write, aged))
  }

  markDropped(write: OwnWrite, told: readonly LaneDrop[]): Promise<void> {
    return this.#queue.run((tx) => {
      drops.markDropped(tx, write, told)
    })
  }

  applyDrops(
    linkId: LinkId,
    stamp: Stamp,
    lane: LaneName,
    ranges: RangeSet,
  ): Promise<Stamped<'done' | 'refused'>> {
    return this.#queue.run((tx) => drops.applyDrops(tx, linkId, stamp, lane, ranges))
  }

  fetchKeys(request: FetchRequest, moment: Moment): Promise<FetchedKeys> {
    return this.#queue.run(
      (tx) => fetching.fetchKeys(tx, request, moment),
      (fetched) => {
        if (fetched.outcome === 'fetched') wipeAll(fetched.keys)
      },
    )
  }

  expireDeliveries(moment: Moment, limit: number): Promise<number> {
    return this.#queue.run((tx) => expiry.expireDeliveries(tx, moment, limit))
  }

  nextExpiry(): Promise<number | null> {
    return this.#queue.run((tx) => expiry.nextExpiry(tx))
  }

  restartRedelivery({ runningMs }: Moment): Promise<void> {
    return this.#queue.run((tx) => {
      tx.restartRedeliveries(runningMs)
    })
  }

  applySaeList(linkId: LinkId, stamp: Stamp, list: SaeList): Promise<Stamped<'done'>> {
    return this.#queue.run((tx) => saes.applySaeList(tx, linkId, stamp, list))
  }

  readPeerSaes(linkId: LinkId): Promise<SaeList | null> {
    return this.#queue.run((tx) => tx.readPeerSaes(linkId))
  }

  readAudit(after: number, limit: number): Promise<readonly AuditEntry[]> {
    return this.#queue.run((tx) => tx.readAudit(after, limit))
  }
}

const wipeAll = (buffers: readonly (Buffer | null)[]): void => {
  wipe(...buffers)
}
