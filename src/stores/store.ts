import { KmeError } from '../errors.ts'
import type { BlockRef, Piece } from '../model/block.ts'
import type { Random } from '../ports/clock.ts'
import type {
  AppliedGrant,
  BatchEffect,
  BlockIntake,
  BlockQuestion,
  DecidedProposal,
  HeardHello,
  HelloAgreement,
  HelloTeaching,
  LaneGrant,
  LaneStore,
  LaneStretch,
  LedgerRecount,
  LinkIdentity,
  LinkSnapshot,
  MatchedLimit,
  MatchedPieces,
  OwnWrite,
  Proposal,
  ReceivedBlocks,
  Stamped,
} from '../ports/lane-store.ts'
import type {
  AnnouncedBlock,
  BatchVerdict,
  BlockWhereabouts,
  KnownOfPeer,
  Stamp,
} from '../ports/peer.ts'
import type { DeviceId, LinkId } from '../model/ids.ts'
import type { Epoch, LaneName, RestoredEnds } from '../model/lane.ts'
import type { Ledger } from '../model/ledger.ts'
import type { Moment } from '../model/moment.ts'
import type { RangeSet } from '../model/range.ts'
import type { Sealing } from '../ports/sealing.ts'
import { wipe } from '../support/wipe.ts'
import { CommitQueue } from './commit-queue.ts'
import { DeliveringStore } from './delivering-store.ts'
import * as announcements from './operations/announcements.ts'
import * as batches from './operations/batches.ts'
import * as epochs from './operations/epochs.ts'
import * as grants from './operations/grants.ts'
import * as intake from './operations/intake.ts'
import * as links from './operations/links.ts'
import * as recount from './operations/recount.ts'
import * as verdicts from './operations/verdicts.ts'
import type { StoreBackend } from './store-tx.ts'

/**
 * The store of a KME over any database: both ports, each operation in its savepoint of a shared
 * commit. What the operations do is in `operations/`, one file per group.
 */
export class Store extends DeliveringStore implements LaneStore, AsyncDisposable {
  readonly #queue: CommitQueue
  readonly #backend: StoreBackend
  readonly #random: Random
  readonly failed: Promise<KmeError>

  constructor(backend: StoreBackend, random: Random) {
    const queue = new CommitQueue(backend)
    super(queue, random)
    this.#queue = queue
    this.#backend = backend
    this.failed = this.#queue.failed
    this.#random = random
  }

  /** How long the disk has been waited for by now; 0 where nothing is being committed. */
  get commitMs(): number {
    return this.#queue.commitMs
  }

  openLink(link: LinkIdentity): Promise<LinkSnapshot> {
    return this.#queue.run((tx) => links.openLink(tx, link))
  }

  readLink(linkId: LinkId): Promise<LinkSnapshot> {
    return this.#queue.run((tx) => links.readLink(tx, linkId))
  }

  beginLife(linkId: LinkId): Promise<LinkSnapshot> {
    return this.#queue.run((tx) => links.beginLife(tx, linkId))
  }

  hearHello(linkId: LinkId, told: HelloTeaching): Promise<HeardHello> {
    return this.#queue.run((tx) => links.hearHello(tx, linkId, told))
  }

  applyHello(write: OwnWrite, agreement: HelloAgreement): Promise<LinkSnapshot> {
    return this.#queue.run((tx) => links.applyHello(tx, write, agreement))
  }

  beginEpoch(
    write: OwnWrite,
    epoch: Epoch,
    peer: KnownOfPeer,
    afterRestoreOf: RestoredEnds | null = null,
  ): Promise<LinkSnapshot> {
    const beginning = { epoch, peer, afterRestoreOf }
    return this.#queue.run((tx) => epochs.beginEpoch(tx, this.#random, write, beginning))
  }

  async receiveBlocks(
    write: OwnWrite,
    offered: BlockIntake,
    moment: Moment,
  ): Promise<ReceivedBlocks> {
    try {
      return await this.#queue.run((tx) =>
        intake.receiveBlocks(tx, this.#random, write, offered, moment),
      )
    } finally {
      wipe(...offered.blocks.map(({ material }) => material))
    }
  }

  readCheckpoint(linkId: LinkId, deviceId: DeviceId): Promise<Buffer | null> {
    return this.#queue.run((tx) => tx.readCheckpoint(linkId, deviceId))
  }

  listUnannounced(linkId: LinkId, limit: number): Promise<readonly AnnouncedBlock[]> {
    return this.#queue.run((tx) => announcements.listUnannounced(tx, linkId, limit))
  }

  markAnnounced(
    write: OwnWrite,
    refs: readonly BlockRef[],
    conflicting: readonly BlockRef[],
  ): Promise<void> {
    return this.#queue.run((tx) => {
      announcements.markAnnounced(tx, write, refs, conflicting)
    })
  }

  applyAnnouncement(
    linkId: LinkId,
    stamp: Stamp,
    blocks: readonly AnnouncedBlock[],
  ): Promise<Stamped<readonly BlockRef[]>> {
    return this.#queue.run((tx) => announcements.applyAnnouncement(tx, linkId, stamp, blocks))
  }

  listUnmatched(
    linkId: LinkId,
    deviceId: DeviceId,
    receivedBeforeMs: number,
    limit: number,
  ): Promise<readonly AnnouncedBlock[]> {
    return this.#queue.run((tx) =>
      announcements.listUnmatched(tx, linkId, deviceId, receivedBeforeMs, limit),
    )
  }

  answerQuestion(
    linkId: LinkId,
    stamp: Stamp,
    questions: readonly BlockQuestion[],
  ): Promise<Stamped<readonly BlockWhereabouts[]>> {
    return this.#queue.run((tx) => announcements.answerQuestion(tx, linkId, stamp, questions))
  }

  applyWhereabouts(
    write: OwnWrite,
    answers: readonly { readonly ref: BlockRef; readonly where: BlockWhereabouts }[],
  ): Promise<readonly BlockRef[]> {
    return this.#queue.run((tx) => announcements.applyWhereabouts(tx, write, answers))
  }

  listAwaited(
    linkId: LinkId,
    deviceId: DeviceId,
    limit: number,
  ): Promise<readonly AnnouncedBlock[]> {
    return this.#queue.run((tx) => announcements.listAwaited(tx, linkId, deviceId, limit))
  }

  markGone(write: OwnWrite, refs: readonly BlockRef[]): Promise<void> {
    return this.#queue.run((tx) => {
      announcements.markGone(tx, write, refs)
    })
  }

  listMatched(linkId: LinkId, limit: MatchedLimit): Promise<MatchedPieces> {
    return this.#queue.run((tx) => batches.listMatched(tx, linkId, limit))
  }

  readPieces(linkId: LinkId, pieces: readonly Piece[]): Promise<readonly (Buffer | null)[]> {
    return this.#queue.run((tx) => batches.readPieces(tx, linkId, pieces), wipeAll)
  }

  openProposal(write: OwnWrite, proposal: Proposal): Promise<void> {
    return this.#queue.run((tx) => {
      batches.openProposal(tx, write, proposal)
    })
  }

  decideProposal(
    linkId: LinkId,
    stamp: Stamp,
    proposal: Proposal,
    verdict: BatchVerdict,
  ): Promise<Stamped<DecidedProposal>> {
    return this.#queue.run((tx) => verdicts.decideProposal(tx, linkId, stamp, proposal, verdict))
  }

  closeProposal(write: OwnWrite, batch: number, verdict: BatchVerdict): Promise<BatchEffect> {
    return this.#queue.run((tx) => verdicts.closeProposal(tx, write, batch, verdict))
  }

  applyClosed(linkId: LinkId, stamp: Stamp, batch: number): Promise<Stamped<LinkSnapshot>> {
    return this.#queue.run((tx) => verdicts.applyClosed(tx, linkId, stamp, batch))
  }

  markClosedTold(write: OwnWrite, batch: number): Promise<void> {
    return this.#queue.run((tx) => {
      verdicts.markClosedTold(tx, write, batch)
    })
  }

  commitGrant(write: OwnWrite, grant: LaneGrant): Promise<LinkSnapshot> {
    return this.#queue.run((tx) => grants.commitGrant(tx, write, grant))
  }

  listPendingGrants(linkId: LinkId, limit: number): Promise<readonly LaneGrant[]> {
    return this.#queue.run((tx) => tx.listPendingGrants(linkId, limit))
  }

  markGranted(write: OwnWrite, told: readonly LaneGrant[]): Promise<void> {
    return this.#queue.run((tx) => {
      grants.markGranted(tx, write, told)
    })
  }

  applyGrants(
    linkId: LinkId,
    stamp: Stamp,
    lane: LaneName,
    ranges: RangeSet,
  ): Promise<Stamped<AppliedGrant | 'refused'>> {
    return this.#queue.run((tx) => grants.applyGrants(tx, linkId, stamp, lane, ranges))
  }

  listStretches(linkId: LinkId, lane: LaneName): Promise<readonly LaneStretch[]> {
    return this.#queue.run((tx) => tx.listStretches(linkId, lane))
  }

  sweepEnded(limit: number): Promise<boolean> {
    return this.#queue.run((tx) => tx.sweepEnded(limit))
  }

  readLedger(linkId: LinkId): Promise<Ledger> {
    return this.#queue.run((tx) => recount.readLedger(tx, linkId))
  }

  recountLedger(linkId: LinkId): Promise<LedgerRecount> {
    return this.#queue.run((tx) => recount.recountLedger(tx, linkId))
  }

  readRunningTime(): Promise<number> {
    return this.#queue.run((tx) => tx.readMeta().runningMs)
  }

  saveRunningTime(runningMs: number): Promise<void> {
    return this.#queue.run((tx) => {
      tx.writeRunningMs(runningMs)
      // Here because it is called now and then.
      tx.dropUnusedKeys()
    })
  }

  /**
   * Puts the store under the KEK of `sealing` (store-tx.ts).
   * @throws KmeError BAD_REQUEST where nothing is sealed; SEALING_FAILED, STORE_FAILED
   */
  async rewrap(sealing: Sealing): Promise<void> {
    if (!this.#backend.rewrap) throw new KmeError('BAD_REQUEST', 'this store has no KEK')
    await this.#backend.rewrap(sealing)
  }

  close(): Promise<void> {
    return this.#queue.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

const wipeAll = (buffers: readonly (Buffer | null)[]): void => {
  wipe(...buffers)
}
