import type { AuditTrail } from './audit.ts'
import type { ConfirmMessage, Stamp } from './peer.ts'
import type { Delivery, RegisteredSae } from '../model/delivery.ts'
import type { DeliveryId, KeyIdParts } from '../model/key-id.ts'
import type { KmeId, LinkId, SaeId } from '../model/ids.ts'
import type { LaneName } from '../model/lane.ts'
import type { Moment } from '../model/moment.ts'
import type { LinkSnapshot, OwnWrite, Stamped } from './lane-store.ts'
import type { Range, RangeSet } from '../model/range.ts'

/**
 * The store as delivery sees it: who gets which range, who has fetched, what the peer still has to
 * be told. The same implementation and the same transactions as LaneStore, whose general rules hold
 * here too. Each change of a delivery writes its audit row in the same transaction.
 */
export interface DeliveryStore extends AuditTrail {
  /**
   * The SAEs registered at this KME, as the configuration has them. Who is new gets a new
   * registration ID, who is no longer there loses it for good. The version rises with each change.
   */
  registerSaes(saeIds: readonly SaeId[]): Promise<SaeList>

  /**
   * Allocates ranges of our lanes, and of what was granted to us of the peer's: in one transaction each range is consumed, its bytes leave the
   * lane, the delivery's record is written, and where slaves are registered here, their bytes are
   * kept for them. Returns the bytes of each, in order. Throws INTERNAL, with nothing changed, where
   * a range is not usable, a byte of it is consumed, or it is the peer's to allocate: an allocator's mistake; LIFE_ENDED where the
   * link is not greeted (any more).
   */
  commitDeliveries(
    write: OwnWrite,
    deliveries: readonly NewDelivery[],
    moment: Moment,
  ): Promise<readonly Buffer[]>

  /**
   * The peer's deliveries, applied once each. The same delivery as before: `done`. Else, if the
   * peer owns the lane and the range is not granted to us, or it is of our lane and granted, no byte is consumed, the master is listed by that peer and every slave is
   * registered here: consumed, its bytes move into the delivery. Otherwise refused, and nothing of
   * it is retained.
   */
  applyConfirms(
    linkId: LinkId,
    stamp: Stamp,
    confirms: readonly ConfirmMessage[],
    moment: Moment,
  ): Promise<Stamped<readonly ConfirmOutcome[]>>
  /** Those of these deliveries that are ours on the link, name the peer's SAE as a slave, and are not acknowledged. */
  listConfirmsFor(
    linkId: LinkId,
    stamp: Stamp,
    deliveryIds: readonly DeliveryId[],
    sae: RegisteredSae,
  ): Promise<Stamped<readonly ConfirmMessage[]>>
  /** Those of these deliveries that this store does not know. */
  listUnknown(deliveryIds: readonly DeliveryId[]): Promise<readonly DeliveryId[]>
  /** The peer's answer to a question for deliveries: applied as confirms are. */
  applyAnsweredConfirms(
    write: OwnWrite,
    confirms: readonly ConfirmMessage[],
    moment: Moment,
  ): Promise<readonly ConfirmOutcome[]>
  /** Deliveries that the peer has not acknowledged, oldest first: sent until answered. */
  listUnconfirmed(linkId: LinkId, limit: number): Promise<readonly ConfirmMessage[]>
  /** How many there are; for status. */
  countUnconfirmed(linkId: LinkId): Promise<number>
  /** The peer acknowledged them. Nobody waits for that to be durable: it may be some 100 ms later. */
  markConfirmed(write: OwnWrite, deliveryIds: readonly DeliveryId[]): Promise<void>
  /**
   * The peer refused a delivery, so its range is to be dropped there. `whole`: its call still waits,
   * and the delivery ends here too; otherwise only the peer's part is over.
   */
  refuseDelivery(
    write: OwnWrite,
    deliveryId: DeliveryId,
    whole: boolean,
    moment: Moment,
  ): Promise<void>

  /** Ranges that this end allocates from, consumed for no delivery, that the peer has not been told of. */
  listPendingDrops(linkId: LinkId, limit: number): Promise<readonly LaneDrop[]>
  /**
   * Drops ranges that this end allocates from and that are too old: consumed, erased, and on a link
   * to a peer to be told to it. Throws INTERNAL, with nothing changed, where a byte is not ours to
   * allocate.
   */
  dropAged(write: OwnWrite, drops: readonly LaneDrop[]): Promise<LinkSnapshot>
  markDropped(write: OwnWrite, drops: readonly LaneDrop[]): Promise<void>
  /** The peer drops ranges that it allocates from: consumed and erased here, but for what a delivery holds. */
  applyDrops(
    linkId: LinkId,
    stamp: Stamp,
    lane: LaneName,
    ranges: RangeSet,
  ): Promise<Stamped<'done' | 'refused'>>

  /**
   * One SAE fetches keys, all or nothing. Durable before it answers: the entitlement is gone, and
   * with the last one here the bytes too. The caller wipes what it gets. With a redelivery window
   * the answer is kept that long, though no longer than the keys live: the very same request by the
   * same registration of the SAE gets it again, and nothing but the audit record changes.
   */
  fetchKeys(request: FetchRequest, moment: Moment): Promise<FetchedKeys>

  /**
   * Ends deliveries whose time to live is over: bytes erased, entitlements and record gone. Those
   * of ours that the peer never acknowledged become pending drops. Erases answers whose redelivery
   * window is over as well. At most `limit` of both together; returns how many, so that the caller
   * goes on while it equals the limit.
   */
  expireDeliveries(moment: Moment, limit: number): Promise<number>
  /** Running time at which the next delivery or redelivery window ends, or null. */
  nextExpiry(): Promise<number | null>
  /**
   * At each start: every redelivery window that is still open starts anew. Whoever lost an answer
   * because this KME went down can ask again when it is back.
   */
  restartRedelivery(moment: Moment): Promise<void>

  /** The list of a peer's SAEs; a version that is not higher than the one known is ignored. */
  applySaeList(linkId: LinkId, stamp: Stamp, list: SaeList): Promise<Stamped<'done'>>
  /** The peer's SAEs, or null where no list ever came. */
  readPeerSaes(linkId: LinkId): Promise<SaeList | null>
}

export interface SaeList {
  readonly version: number
  readonly saes: readonly RegisteredSae[]
}

export interface NewDelivery {
  readonly delivery: Delivery
  /** Slaves registered here. */
  readonly localSlaves: readonly RegisteredSae[]
  /** Slaves at the peer. */
  readonly remoteSlaves: readonly RegisteredSae[]
  /** The peer that must confirm, or null on a link of this KME with itself. */
  readonly remoteKmeId: KmeId | null
}

export type ConfirmOutcome =
  | { readonly outcome: 'done' }
  /** `conflict`: another delivery in the store holds bytes of the range (an alarm). */
  | { readonly outcome: 'refused'; readonly reason: string; readonly conflict: boolean }

export interface LaneDrop {
  readonly lane: LaneName
  readonly range: Range
}

export interface FetchRequest {
  readonly sae: RegisteredSae
  readonly masterSaeId: SaeId
  /** No key twice. */
  readonly keys: readonly KeyIdParts[]
  /**
   * For how long an answer with keys of that link may be asked for again, 0: never; the shortest
   * counts where keys are of several. Absent: never.
   */
  readonly redeliveryWindowMs?: (linkId: LinkId) => number
}

export type FetchedKeys =
  /** One buffer per key, in the order asked. */
  | {
      readonly outcome: 'fetched'
      readonly keys: readonly Buffer[]
      /** From the first answer on; absent where it cannot be asked for again. */
      readonly redeliveryWindowMs?: number
    }
  /** The SAE was not named for at least one of them when it was delivered. Goes before `not-found`. */
  | { readonly outcome: 'unauthorized' }
  /** At least one is unknown, expired, fetched already, or another master's. */
  | { readonly outcome: 'not-found' }
