import type { BlockRef, Piece } from '../model/block.ts'
import type { DriverMessageBody } from './qkd-driver.ts'
import type { DeliveryId } from '../model/key-id.ts'
import type { Epoch, LaneName, LaneState, RestoredEnds } from '../model/lane.ts'
import type { Generation, KmeId, LinkId, DeviceId } from '../model/ids.ts'
import type { RegisteredSae } from '../model/delivery.ts'
import type { Range } from '../model/range.ts'

/**
 * The KME at the other end of a link. No key byte ever crosses this border. All messages may come
 * twice, late or out of order; `done` means durable at the receiver.
 */
export interface Peer {
  /** Asks a hello question. Only the answer to this very question is returned (its nonce is checked). @throws KmeError PEER_UNAVAILABLE, PROTOCOL */
  hello(question: Hello): Promise<Hello>
  /**
   * Sends messages under one stamp; the answers come in the same order, each message answered by
   * itself. @throws KmeError PEER_UNAVAILABLE where it is unknown what arrived
   */
  send(stamp: Stamp, messages: readonly PeerMessage[]): Promise<readonly PeerAnswer[]>
  /** Calls back when the last own connection to the peer is lost. */
  onLost(callback: () => void): void
  close(): Promise<void>
}

/** What the peer's messages reach: a link's side of the protocol. */
export interface PeerHandler {
  readonly linkId: LinkId
  hello(question: Hello): Promise<Hello>
  receive(stamp: Stamp, messages: readonly PeerMessage[]): Promise<readonly PeerAnswer[]>
}

export const PROTOCOL_VERSIONS: readonly number[] = [1]

/** What every message but hello names. */
export interface Stamp {
  readonly epoch: Epoch
  /** Life of the link at the sender. */
  readonly senderLife: number
  /** Life of the link at the receiver, as the sender knows it. */
  readonly receiverLife: number
  /** The sender's commit counter, durable when it was sent. */
  readonly commitCounter: number
}

/** What an end remembers of the other. */
export interface KnownOfPeer {
  /** Null from an epoch in which the peer was restored to its next hello: it takes a new one. */
  readonly generation: Generation | null
  readonly life: number
  /** Highest commit counter seen. */
  readonly commitCounter: number
}

/** Both the question and the answer. */
export interface Hello {
  /** 32 hex digits; an answer carries its question's. */
  readonly nonce: string
  readonly versions: readonly number[]
  readonly kmeId: KmeId
  readonly linkId: LinkId
  readonly generation: Generation
  readonly life: number
  readonly commitCounter: number
  /** The sender was restored or replaced, and no epoch has begun since. */
  readonly restored: boolean
  readonly epoch: Epoch | null
  /** Which ends were restored before the epoch was made; null: it is the first. */
  readonly epochAfterRestoreOf: RestoredEnds | null
  /** Number of the last batch decided in the epoch; counts as *closed* when it comes from the verifier. */
  readonly lastBatch: number
  readonly lanes: Readonly<Record<LaneName, LaneState>>
  /** What the sender knows of the receiver, or null. */
  readonly knownOfYou: KnownOfPeer | null
}

export type PeerMessage =
  | AnnounceMessage
  | QuestionMessage
  | ProposalMessage
  | ClosedMessage
  | ConfirmMessage
  | DropMessage
  | GrantMessage
  | WantMessage
  | DeliveriesMessage
  | SaeListMessage
  | DriverMessage

export interface AnnouncedBlock {
  readonly ref: BlockRef
  readonly lengthBytes: number
}

/** Blocks that the sender has durably received. */
export interface AnnounceMessage {
  readonly kind: 'announce'
  readonly blocks: readonly AnnouncedBlock[]
}

/** Asks for blocks that only the sender has. */
export interface QuestionMessage {
  readonly kind: 'question'
  readonly blocks: readonly AnnouncedBlock[]
}

/** Verifier to follower. A retry is identical to the byte. */
export interface ProposalMessage {
  readonly kind: 'proposal'
  readonly batch: number
  readonly pieces: readonly Piece[]
  /** Poly1305 tag, 16 bytes: links/equality-proof.ts. */
  readonly tag: Buffer
}

/** Verifier to follower: batch `batch` is durable here too; allocate from it. */
export interface ClosedMessage {
  readonly kind: 'closed'
  readonly batch: number
}

/** A delivery, with the slaves registered at the receiver only. */
export interface ConfirmMessage {
  readonly kind: 'confirm'
  readonly deliveryId: DeliveryId
  readonly lane: LaneName
  readonly offset: number
  readonly keyLengthBytes: number
  readonly keyCount: number
  readonly master: RegisteredSae
  readonly slaves: readonly RegisteredSae[]
  readonly timeToLiveMs: number
}

/** Ranges consumed for no delivery, told by whoever allocated. */
export interface DropMessage {
  readonly kind: 'drop'
  readonly lane: LaneName
  readonly ranges: readonly Range[]
}

/** Ranges of the sender's lane that the receiver may allocate from, durably given. */
export interface GrantMessage {
  readonly kind: 'grant'
  readonly lane: LaneName
  readonly ranges: readonly Range[]
}

/** The sender runs short: asks for a grant of about so many bytes. `done` promises nothing. */
export interface WantMessage {
  readonly kind: 'want'
  readonly lengthBytes: number
}

/**
 * Asks for deliveries that an SAE of the sender wants keys of and that are not known there: with
 * `confirm: local` their confirms may still be on their way.
 */
export interface DeliveriesMessage {
  readonly kind: 'deliveries'
  readonly deliveryIds: readonly DeliveryId[]
  /** Registered at the sender. */
  readonly sae: RegisteredSae
}

/** The SAEs registered at the sender: a whole list, its version rising. */
export interface SaeListMessage {
  readonly kind: 'sae-list'
  readonly version: number
  readonly saes: readonly RegisteredSae[]
}

/** From a driver to the driver at the other end of its device; public IDs only. */
export interface DriverMessage {
  readonly kind: 'driver'
  readonly deviceId: DeviceId
  readonly type: string
  readonly body: DriverMessageBody
}

export type BlockWhereabouts = 'have' | 'on-its-way' | 'gone'

export type BatchVerdict =
  | { readonly outcome: 'equal' }
  | { readonly outcome: 'unequal' }
  /** Some refs are no longer at the follower. */
  | { readonly outcome: 'lacking'; readonly missing: readonly BlockRef[] }

export type PeerAnswer =
  | { readonly result: 'done' }
  /** Not now; send again. */
  | { readonly result: 'retry' }
  /** Of an earlier life or epoch: changed nothing now. Says nothing of what was applied before. */
  | { readonly result: 'stale' }
  /** Definite: nothing was retained. */
  | { readonly result: 'refused'; readonly reason: string }
  /** To an announcement; the named blocks are known with another length and are quarantined. */
  | { readonly result: 'announced'; readonly conflicting: readonly BlockRef[] }
  /** To a question: one for each block. */
  | { readonly result: 'whereabouts'; readonly blocks: readonly BlockWhereabouts[] }
  /** To a question for deliveries: those of them that name the SAE and are not acknowledged yet. */
  | { readonly result: 'deliveries'; readonly confirms: readonly ConfirmMessage[] }
  /** To a proposal. */
  | { readonly result: 'verdict'; readonly verdict: BatchVerdict }
