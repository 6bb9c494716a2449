import type { AnnouncedBlock, BatchVerdict, BlockWhereabouts, KnownOfPeer, Stamp } from './peer.ts'
import type { BlockRef, Piece } from '../model/block.ts'
import type { DeviceId, Generation, KmeId, LinkId } from '../model/ids.ts'
import type { Epoch, LaneName, LaneState, LinkEnd, RestoredEnds } from '../model/lane.ts'
import type { KmeError } from '../errors.ts'
import type { Ledger } from '../model/ledger.ts'
import type { Moment } from '../model/moment.ts'
import type { OfferOutcome } from './qkd-driver.ts'
import type { Range, RangeSet } from '../model/range.ts'

/**
 * The store as the links see it: blocks, batches, lanes, and what each end knows of the other.
 *
 * Every method is one whole operation: one transaction, durable (committed and synced) when its
 * promise resolves; where it rejects, nothing of it happened. Operations run one after the other in
 * the order of the calls, over all links, and several may share one commit. The rules of the
 * protocol that a transaction must check (life, epoch, states of ranges) are checked inside it.
 * Key material passes as Buffers: what a method is given it copies or wipes as said there; what it
 * returns belongs to the caller, who wipes it. Any method may throw STORE_FAILED (disk full, I/O
 * error) or STORE_CORRUPT (a sealed row does not open).
 *
 * Every change of a link in a life that has had its hello raises the link's commit counter, in the
 * same transaction.
 */
export interface LaneStore {
  /** Adds the link where the store does not know it; keeps what it knows. */
  openLink(link: LinkIdentity): Promise<LinkSnapshot>
  readLink(linkId: LinkId): Promise<LinkSnapshot>
  /** Raises the life; from now on writes of earlier lives are refused. The new life has had no hello. */
  beginLife(linkId: LinkId): Promise<LinkSnapshot>

  /**
   * A question teaches the peer's life: where it names our epoch and a life later than the one
   * known, that life is remembered. Returns the state to answer with and whether the life rose
   * (then the hello of this end is over).
   */
  hearHello(linkId: LinkId, told: HelloTeaching): Promise<HeardHello>
  /** The answer to our hello was accepted: remembers the peer, adopts ranges, marks the life as greeted. @throws KmeError LIFE_ENDED where the answer is of an earlier life of the peer; PROTOCOL */
  applyHello(write: OwnWrite, agreement: HelloAgreement): Promise<LinkSnapshot>
  /**
   * Begins an epoch, in one transaction: both lanes, open proposals, refs and every unverified
   * block of the former epoch are dropped (ledger: dropped), checkpoints too; open deliveries end;
   * `peer` is what is known of the peer from here on. The guard names the former epoch. The new one
   * has had no hello: `applyHello` follows. `afterRestoreOf` says who was restored, null in the
   * first epoch of two stores; an end that was restored is not any more.
   */
  beginEpoch(
    write: OwnWrite,
    epoch: Epoch,
    peer: KnownOfPeer,
    afterRestoreOf?: RestoredEnds | null,
  ): Promise<LinkSnapshot>

  /**
   * This store was restored or replaced, as its generation `found` shows: takes a new generation,
   * drops what it holds for its SAEs, and ends the life of every link; each is restored until its
   * next epoch. Does nothing where the generation is another by now.
   */
  becomeRestored(found: Generation, moment: Moment): Promise<void>
  /** Calls back when this store has become restored; the returned function ends that. */
  onRestored(listener: () => void): () => void
  /** What tells this store from an older copy of it. */
  readStanding(): Promise<StoreStanding>

  /**
   * Whether this end of a device has yet to be opened afresh in the link's epoch, which was made
   * after a restore.
   */
  mustOpenAfresh(linkId: LinkId, deviceId: DeviceId, end: BlockIntake['end']): Promise<boolean>
  /** This end of the device was opened afresh in the epoch: no need to do so again. */
  markOpenedAfresh(write: OwnWrite, deviceId: DeviceId, end: BlockIntake['end']): Promise<void>

  /**
   * Stores offered blocks and the device's checkpoint. A block whose ref is known: `duplicate` with
   * the same bytes; with other bytes `quarantined`, and where the known one is not verified yet, it
   * too. A ref that is gone: `refused`. On a link of a KME with itself a block of the role `both`
   * is appended at once, and one that both ends offered is compared and appended or quarantined.
   * Takes ownership of the material and wipes it.
   */
  receiveBlocks(write: OwnWrite, intake: BlockIntake, moment: Moment): Promise<ReceivedBlocks>
  readCheckpoint(linkId: LinkId, deviceId: DeviceId): Promise<Buffer | null>

  /** Blocks that the peer has not been told of yet, oldest first. */
  listUnannounced(linkId: LinkId, limit: number): Promise<readonly AnnouncedBlock[]>
  /** The peer was told; `conflicting` of them differ in length there and are quarantined. */
  markAnnounced(
    write: OwnWrite,
    refs: readonly BlockRef[],
    conflicting: readonly BlockRef[],
  ): Promise<void>
  /**
   * The peer announces blocks. Those that are here are matched; those of another length are
   * quarantined and returned; the rest is remembered until they come.
   */
  applyAnnouncement(
    linkId: LinkId,
    stamp: Stamp,
    blocks: readonly AnnouncedBlock[],
  ): Promise<Stamped<readonly BlockRef[]>>

  /** Unverified blocks that the peer has not announced, received before `receivedBeforeMs` (running time). */
  listUnmatched(
    linkId: LinkId,
    deviceId: DeviceId,
    receivedBeforeMs: number,
    limit: number,
  ): Promise<readonly AnnouncedBlock[]>
  /**
   * The peer asks for blocks. `mayStillCome` says of each, should it not be here, whether to wait
   * for it; otherwise it is *gone* from now on: durable, counted as a gap, refused should it come.
   */
  answerQuestion(
    linkId: LinkId,
    stamp: Stamp,
    questions: readonly BlockQuestion[],
  ): Promise<Stamped<readonly BlockWhereabouts[]>>
  /** Answers to our question: *have* matches the block, *gone* drops it here. Returns the refs dropped. */
  applyWhereabouts(
    write: OwnWrite,
    answers: readonly { readonly ref: BlockRef; readonly where: BlockWhereabouts }[],
  ): Promise<readonly BlockRef[]>
  /** Blocks of a device that the peer announced and that are not here, oldest first. */
  listAwaited(linkId: LinkId, deviceId: DeviceId, limit: number): Promise<readonly AnnouncedBlock[]>
  /** The box has refused these for good: gone, counted as gaps. */
  markGone(write: OwnWrite, refs: readonly BlockRef[]): Promise<void>

  /** What the verifier may compose the next batch of, oldest first. */
  listMatched(linkId: LinkId, limit: MatchedLimit): Promise<MatchedPieces>
  /** The bytes of pieces, in order; null for those that are not here as named. The caller wipes them. */
  readPieces(linkId: LinkId, pieces: readonly Piece[]): Promise<readonly (Buffer | null)[]>
  /**
   * Verifier: makes proposal `batch` durable, before its tag leaves. One is open at a time and
   * numbers are consecutive. @throws TypeError where it is not the next number or one is open;
   * KmeError INTERNAL where a piece is no longer here as named: compose it anew
   */
  openProposal(write: OwnWrite, proposal: Proposal): Promise<void>
  /**
   * Follower: decides a proposal. The next number: `verdict` is stored (as *lacking* where a
   * piece has gone since), the batch's first
   * 32 bytes are sacrificed, and *equal* appends to both lanes. The present number with the same
   * tag: the verdict stored before. Anything else: `refused`.
   */
  decideProposal(
    linkId: LinkId,
    stamp: Stamp,
    proposal: Proposal,
    verdict: BatchVerdict,
  ): Promise<Stamped<DecidedProposal>>
  /** Verifier: the verdict came. *Equal* appends; *unequal* leaves two suspects, or quarantines a single block. */
  closeProposal(write: OwnWrite, batch: number, verdict: BatchVerdict): Promise<BatchEffect>
  /** Follower: the verifier has closed all batches up to `batch`: what they appended is usable. */
  applyClosed(linkId: LinkId, stamp: Stamp, batch: number): Promise<Stamped<LinkSnapshot>>
  /** Verifier: the follower knows that `batch` is closed. */
  markClosedTold(write: OwnWrite, batch: number): Promise<void>

  /**
   * Gives the peer a range of our lane to allocate from, and keeps it to be told until the peer has
   * answered. Irrevocable in the epoch. Throws INTERNAL, with nothing changed, where the range is
   * not usable, shorter than LEAST_GRANT_BYTES, or a byte of it is consumed or granted; LIFE_ENDED
   * where the link is not greeted (any more).
   */
  commitGrant(write: OwnWrite, grant: LaneGrant): Promise<LinkSnapshot>
  /** Grants that the peer has not acknowledged, oldest first: sent until answered. */
  listPendingGrants(linkId: LinkId, limit: number): Promise<readonly LaneGrant[]>
  markGranted(write: OwnWrite, grants: readonly LaneGrant[]): Promise<void>
  /** The peer gives ranges of its lane; a range that comes again adds nothing. Refused where the lane is ours or not that long. */
  applyGrants(
    linkId: LinkId,
    stamp: Stamp,
    lane: LaneName,
    ranges: RangeSet,
  ): Promise<Stamped<AppliedGrant | 'refused'>>

  /** When the bytes of a lane were received, oldest first. */
  listStretches(linkId: LinkId, lane: LaneName): Promise<readonly LaneStretch[]>

  /**
   * Erases up to `limit` rows of epochs that have ended; false where nothing is left of them. What
   * such rows hold is found by no other method.
   */
  sweepEnded(limit: number): Promise<boolean>

  /** The counters, as they stand. */
  readLedger(linkId: LinkId): Promise<Ledger>
  /** The counters beside what the rows really hold; for checks, not for hot paths. */
  recountLedger(linkId: LinkId): Promise<LedgerRecount>

  /** Milliseconds that this KME was up before this process, as last saved. */
  readRunningTime(): Promise<number>
  saveRunningTime(runningMs: number): Promise<void>

  /** Resolves where the store can no longer be trusted (an I/O error): every later call fails. */
  readonly failed: Promise<KmeError>
  /** Commits what is under way, closes, wipes keys. Idempotent. */
  close(): Promise<void>
}

/** Rises with all that a store does: a copy that is older is behind in it. */
export interface StoreStanding {
  readonly generation: Generation
  readonly formerGenerations: readonly Generation[]
  readonly links: readonly LinkStanding[]
}

export interface LinkStanding {
  readonly linkId: LinkId
  readonly life: number
  /** Commits that changed something of the link. Before a hello, when the commit counter rests, they count as well. */
  readonly changes: number
}

export interface LinkIdentity {
  readonly linkId: LinkId
  readonly kmeId: KmeId
  readonly peerKmeId: KmeId
}

/** Names the life and epoch that a write of this KME belongs to: of another, it throws LIFE_ENDED and changes nothing. */
export interface OwnWrite {
  readonly linkId: LinkId
  readonly life: number
  readonly epoch: Epoch | null
}

/**
 * What applying a message of the peer gives. The transaction checks the stamp: of an earlier life
 * or epoch: `stale`, nothing changes; of a later one: `retry`. The peer's commit counter is kept
 * with the commit.
 */
export type Stamped<T> =
  | { readonly kind: 'applied'; readonly value: T }
  | { readonly kind: 'stale' }
  | { readonly kind: 'retry' }

/** All that an end says in a hello, and what its parts need to go on after a start. */
export interface LinkSnapshot {
  readonly identity: LinkIdentity
  readonly end: LinkEnd
  readonly generation: Generation
  /** This store was restored or replaced, and the link has begun no epoch since. */
  readonly restored: boolean
  readonly life: number
  /** A hello with the peer's present life has succeeded in this life and epoch. Until then messages are answered `retry`. */
  readonly greeted: boolean
  readonly commitCounter: number
  readonly epoch: Epoch | null
  /** Which ends were restored before the epoch was made; null: none, it is the first. */
  readonly epochAfterRestoreOf: RestoredEnds | null
  /** A hello of ours has succeeded in the epoch, in this life or an earlier one. */
  readonly epochAgreed: boolean
  readonly knownOfPeer: KnownOfPeer | null
  /** Number of the last batch decided here; 0 before the first. */
  readonly lastBatch: number
  /** Verifier: the follower knows that the last batch is closed. */
  readonly closedTold: boolean
  /** Verifier: the proposal without a verdict. */
  readonly openProposal: Proposal | null
  readonly lanes: Readonly<Record<LaneName, LaneState>>
}

export interface HelloTeaching {
  readonly epoch: Epoch | null
  readonly life: number
}

export interface HeardHello {
  readonly snapshot: LinkSnapshot
  readonly peerLifeRose: boolean
}

export interface HelloAgreement {
  /** What the peer says of itself. */
  readonly peer: KnownOfPeer
  /** Ranges from which only this end allocates and that the peer knows as consumed: adopted, never the other way. */
  readonly adopt: Readonly<Partial<Record<LaneName, RangeSet>>>
  /** Follower: batches up to this one are closed. */
  readonly closedBatch: number | null
}

export interface LaneGrant {
  readonly lane: LaneName
  readonly range: Range
}

export interface AppliedGrant {
  readonly snapshot: LinkSnapshot
  /** What this end may allocate from now and could not before. */
  readonly added: RangeSet
  /** When those bytes were received here. */
  readonly stretches: readonly LaneStretch[]
}

export interface BlockQuestion extends AnnouncedBlock {
  readonly mayStillCome: boolean
}

export interface BlockIntake {
  readonly deviceId: DeviceId
  readonly end: 'leader' | 'follower' | 'both'
  readonly blocks: readonly IntakeBlock[]
  readonly checkpoint: Buffer | null
}

export interface IntakeBlock {
  readonly ref: BlockRef
  readonly material: Buffer
  /** Why the health tests refuse it, or null: then it is quarantined. */
  readonly finding: string | null
}

export interface ReceivedBlocks {
  /** One per block. */
  readonly outcomes: readonly OfferOutcome[]
  /** Refs that are known with other bytes: an alarm. */
  readonly conflicting: readonly BlockRef[]
  /** What a link of a KME with itself appended. */
  readonly appended: readonly LaneStretch[]
}

export interface MatchedLimit {
  readonly maxBytes: number
  readonly maxPieces: number
}

export interface MatchedPieces {
  /** Groups from batches that were unequal, each to be proposed by itself before anything else. */
  readonly suspects: readonly (readonly Piece[])[]
  readonly pieces: readonly Piece[]
  /** Running time at which the oldest of `pieces` was received, or null. */
  readonly oldestReceivedMs: number | null
}

export interface Proposal {
  readonly batch: number
  readonly pieces: readonly Piece[]
  readonly tag: Buffer
}

export type DecidedProposal =
  | {
      readonly kind: 'verdict'
      readonly verdict: BatchVerdict
      readonly effect: BatchEffect | null
    }
  | { readonly kind: 'refused'; readonly reason: string }

/** What a decided batch did here. */
export interface BatchEffect {
  readonly snapshot: LinkSnapshot
  readonly appended: readonly LaneStretch[]
  readonly quarantined: readonly BlockRef[]
}

export interface LaneStretch {
  readonly lane: LaneName
  readonly start: number
  readonly end: number
  /** Running time at which the oldest of its bytes was received here. */
  readonly receivedMs: number
}

export interface LedgerRecount {
  readonly counters: Ledger
  /** Bytes that rows hold, for the states that have rows. */
  readonly rows: Readonly<
    Record<'unverified' | 'ownLane' | 'otherLane' | 'granted' | 'held', number>
  >
}
