import type { AuditEntry, AuditFacts } from '../ports/audit.ts'
import type { BatchVerdict, KnownOfPeer } from '../ports/peer.ts'
import type { BlockRef, Piece } from '../model/block.ts'
import type { Delivery, RegisteredSae } from '../model/delivery.ts'
import type { DeliveryId } from '../model/key-id.ts'
import type { DeviceId, Generation, KmeId, LinkId, RegistrationId, SaeId } from '../model/ids.ts'
import type { Epoch, LaneName, LaneState, RestoredEnds } from '../model/lane.ts'
import type { LaneDrop, SaeList } from '../ports/delivery-store.ts'
import type { LaneGrant, LaneStretch, LinkIdentity, Proposal } from '../ports/lane-store.ts'
import type { Ledger } from '../model/ledger.ts'
import type { Range } from '../model/range.ts'
import type { Sealing } from '../ports/sealing.ts'

/**
 * What a database does for the store: transactions over rows. The operations of both ports are
 * written once over this border (`operations/`); an implementation only keeps rows.
 *
 * Rules for all rows: what a method returns is a snapshot that the caller may keep; what it is given
 * is copied or encoded before it returns. Buffers of key material (block material, chunks, held
 * bytes, fingerprint keys) pass as plaintext: what is returned belongs to the caller, who wipes it;
 * what is given stays the caller's, who wipes it after the call. An implementation seals them at
 * rest and overwrites what it deletes or replaces.
 *
 * Errors: STORE_FAILED (disk full, I/O) ends the whole transaction; STORE_CORRUPT (a sealed row does
 * not open) leaves the transaction usable once the savepoint is rolled back.
 */
export interface StoreBackend {
  /**
   * Runs `work`, at most once, in one transaction and commits: durable when this returns (or its
   * promise resolves). Where `work` throws, rolls back and throws the same. One transaction at a
   * time; a transaction that wrote nothing costs no sync.
   * @throws KmeError STORE_FAILED where BEGIN, COMMIT or the sync fails: nothing was kept, unless
   * `poisoned`; always, once it is
   */
  transact<T>(work: (tx: StoreTx) => T): T | Promise<T>
  /**
   * True after an error that leaves open what is on disk (fsync, I/O): nothing may be read or
   * written any more, the process has to end. A full disk is not one.
   */
  readonly poisoned: boolean
  /**
   * Wraps the data keys under the KEK of `sealing`, which must also unwrap what they are under now,
   * and seals under a new one from then on. What the former KEK wrapped is in no file any more when
   * it resolves. Transactions go on meanwhile. Absent where nothing is sealed.
   * @throws KmeError SEALING_FAILED, with nothing changed; STORE_FAILED: to be done again
   */
  rewrap?(sealing: Sealing): Promise<void>
  /** Closes files, wipes keys. Idempotent; no transaction is under way. */
  close(): void | Promise<void>
}

export interface StoreTx {
  /** Runs `work`; where it throws, undoes what it wrote, and throws the same. Not nested. */
  savepoint<T>(work: () => T): T

  // The store itself.
  readMeta(): StoreMeta
  writeRunningMs(runningMs: number): void
  /** Lets go of keys of earlier lives under which nothing is sealed any more. Cheap, but not free. */
  dropUnusedKeys(): void
  /** The present generation becomes a former one. */
  renewGeneration(generation: Generation): void
  /** Oldest first. */
  listFormerGenerations(): readonly Generation[]

  // Links: one short row each.
  findLink(linkId: LinkId): LinkRow | null
  /** Every link that was ever opened. */
  listLinks(): readonly LinkRow[]
  /** Inserts or replaces. */
  writeLink(row: LinkRow): void
  readLedger(linkId: LinkId): Ledger | null
  writeLedger(linkId: LinkId, ledger: Ledger): void

  // Batches: what is too long for the link's row, and seldom read.
  readProposal(linkId: LinkId): Proposal | null
  writeProposal(linkId: LinkId, proposal: Proposal | null): void
  readVerdict(linkId: LinkId): VerdictRow | null
  writeVerdict(linkId: LinkId, verdict: VerdictRow | null): void
  /** Groups of pieces out of unequal batches; empty where there are none. */
  readSuspects(linkId: LinkId): readonly (readonly Piece[])[]
  writeSuspects(linkId: LinkId, suspects: readonly (readonly Piece[])[]): void

  // Blocks: unique by (linkId, ref); all lists rise in `seq`. Material lies apart from the row.
  findBlock(linkId: LinkId, ref: BlockRef): BlockRow | null
  /** Inserts with the next `seq`, above every one that ever was; `material` null: none is kept. */
  insertBlock(block: Omit<BlockRow, 'seq'>, material: Buffer | null): BlockRow
  /** Replaces the row with this `seq`; its material stays. */
  updateBlock(row: BlockRow): void
  /** The row and its material. */
  deleteBlock(seq: number): void
  readMaterial(row: BlockRow): Buffer | null
  deleteMaterial(seq: number): void
  /** State unverified, not announced. */
  listUnannounced(linkId: LinkId, limit: number): readonly BlockRow[]
  /** State unverified, announced, matched, no suspect. */
  listMatched(linkId: LinkId, limit: number): readonly BlockRow[]
  /** State unverified, not matched, `receivedMs` below the bound. */
  listUnmatched(
    linkId: LinkId,
    deviceId: DeviceId,
    receivedBeforeMs: number,
    limit: number,
  ): readonly BlockRow[]
  /** State awaited. */
  listAwaited(linkId: LinkId, deviceId: DeviceId, limit: number): readonly BlockRow[]
  /** Sum of `lengthBytes - spentBytes` over state unverified; a check, may be slow. */
  sumUnverified(linkId: LinkId): number
  /** All blocks of the link with their material: gone for all methods, while their rows may be erased later. */
  deleteBlocks(linkId: LinkId): void

  readCheckpoint(linkId: LinkId, deviceId: DeviceId): Buffer | null
  writeCheckpoint(linkId: LinkId, deviceId: DeviceId, checkpoint: Buffer): void
  deleteCheckpoints(linkId: LinkId): void
  /** Whether this end of a device was opened afresh in the link's epoch. */
  isFreshDevice(linkId: LinkId, deviceId: DeviceId, end: DeviceEnd): boolean
  insertFreshDevice(linkId: LinkId, deviceId: DeviceId, end: DeviceEnd): void
  deleteFreshDevices(linkId: LinkId): void
  /** Random key of the link's epoch, under which refs of erased blocks keep a fingerprint of their bytes. */
  readFingerprintKey(linkId: LinkId): Buffer | null
  writeFingerprintKey(linkId: LinkId, key: Buffer): void

  // Lanes.
  /** EMPTY_LANE where nothing was written. */
  readLane(linkId: LinkId, lane: LaneName): LaneState
  writeLane(linkId: LinkId, lane: LaneName, state: LaneState): void
  insertStretch(linkId: LinkId, stretch: LaneStretch): void
  /** By rising `start`. */
  listStretches(linkId: LinkId, lane: LaneName): readonly LaneStretch[]
  /** Those that share a byte with the range, by rising `start`. */
  findStretches(linkId: LinkId, lane: LaneName, range: Range): readonly LaneStretch[]
  /** Deletes stretches whose `end` is at or below `offset`. */
  deleteStretches(linkId: LinkId, lane: LaneName, offset: number): void
  /** Bytes of a chunk, or null. Fewer than CHUNK_BYTES only at the end of a lane. */
  readChunk(key: ChunkKey): Buffer | null
  /** Inserts or replaces; 1 to CHUNK_BYTES bytes, at their places, consumed ones as zeros. */
  writeChunk(key: ChunkKey, bytes: Buffer): void
  deleteChunk(key: ChunkKey): void
  /** The chunks that there are, by rising number; a check, may be slow. */
  listChunks(
    linkId: LinkId,
    lane: LaneName,
  ): readonly { readonly number: number; readonly lengthBytes: number }[]
  /** Lane states, stretches and chunks of both lanes: gone for all methods, while their rows may be erased later. */
  deleteLanes(linkId: LinkId): void

  /** Erases up to `limit` rows of what `deleteBlocks` and `deleteLanes` ended; false where nothing is left of it. */
  sweepEnded(limit: number): boolean

  // Deliveries: `seq` rises with each insert and is the primary key; unique index on deliveryId.
  findDelivery(deliveryId: DeliveryId): DeliveryRow | null
  insertDelivery(delivery: Omit<DeliveryRow, 'seq'>): DeliveryRow
  /** Replaces the row with this `seq`; only `remote` and `slaves` ever change. */
  updateDelivery(row: DeliveryRow): void
  /** The row and its held bytes. */
  deleteDelivery(seq: number): void
  /** `remote` is unconfirmed; by rising `seq`. */
  listUnconfirmed(linkId: LinkId, limit: number): readonly DeliveryRow[]
  /** `expiresMs` at or below `runningMs`, by rising `expiresMs`. */
  listExpired(runningMs: number, limit: number): readonly DeliveryRow[]
  /** Lowest `expiresMs`, or null. */
  nextExpiry(): number | null
  /** Whether a delivery of this epoch and lane shares a byte with the range. Not hot. */
  hasDeliveryIn(linkId: LinkId, epoch: Epoch, lane: LaneName, range: Range): boolean
  /** Rows of a link with `seq` above `after`, rising; a check, may be slow. */
  listDeliveries(linkId: LinkId, after: number, limit: number): readonly DeliveryRow[]
  /** Bytes kept for slaves here: those of the whole range, fetched keys as zeros. Null: none are kept. */
  readHeld(row: DeliveryRow): Buffer | null
  /** Inserts or replaces. */
  writeHeld(row: DeliveryRow, bytes: Buffer): void
  deleteHeld(seq: number): void

  // Answers that may be asked for again: `seq` rises, unique by digest.
  insertRedelivery(row: Omit<RedeliveryRow, 'seq'>, bytes: Buffer): void
  findRedelivery(digest: Buffer): RedeliveryRow | null
  readRedelivery(row: RedeliveryRow): Buffer | null
  /** The row and its bytes. */
  deleteRedelivery(seq: number): void
  /** `seq` of rows whose `endsMs` is at or below `runningMs`, by rising `endsMs`. */
  listEndedRedeliveries(runningMs: number, limit: number): readonly number[]
  /** Lowest `endsMs`, or null. */
  nextRedeliveryEnd(): number | null
  /** Every window that is open starts anew, and still ends with the keys' life. */
  restartRedeliveries(runningMs: number): void
  /** Every row and its bytes. */
  clearRedeliveries(): void

  // Ranges consumed for no delivery that the peer has not been told of; in order of insertion.
  insertPendingDrop(linkId: LinkId, drop: LaneDrop): void
  listPendingDrops(linkId: LinkId, limit: number): readonly LaneDrop[]
  /** Deletes the entry with exactly this lane and range, where there is one. */
  deletePendingDrop(linkId: LinkId, drop: LaneDrop): void
  deletePendingDrops(linkId: LinkId): void

  // Ranges of the own lane that were granted and of which the peer has not been told; in order of insertion.
  insertPendingGrant(linkId: LinkId, grant: LaneGrant): void
  listPendingGrants(linkId: LinkId, limit: number): readonly LaneGrant[]
  /** Deletes the entry with exactly this lane and range, where there is one. */
  deletePendingGrant(linkId: LinkId, grant: LaneGrant): void
  deletePendingGrants(linkId: LinkId): void

  // SAEs; each lookup is one row.
  /** Null where no list was ever written. */
  readOwnSaes(): SaeList | null
  /** Replaces the whole list. */
  writeOwnSaes(list: SaeList): void
  findOwnSae(saeId: SaeId): RegistrationId | null
  readPeerSaes(linkId: LinkId): SaeList | null
  writePeerSaes(linkId: LinkId, list: SaeList): void
  findPeerSae(linkId: LinkId, saeId: SaeId): RegistrationId | null

  /** Adds the next row of the record: sequence 1, 2, 3, ... without gaps, and its chain. */
  appendAudit(facts: AuditFacts): void
  /** Sequence above `after`, rising. */
  readAudit(after: number, limit: number): readonly AuditEntry[]
}

/** Bytes of a lane that are sealed together: with its seal a chunk fits a database page. */
export const CHUNK_BYTES = 4000

export type DeviceEnd = 'leader' | 'follower' | 'both'

export interface StoreMeta {
  readonly generation: Generation
  /** Running time as last saved. */
  readonly runningMs: number
}

export interface LinkRow {
  readonly identity: LinkIdentity
  readonly life: number
  /** A hello with the peer's present life has succeeded in this life and epoch. */
  readonly greeted: boolean
  /** This life has had a hello: from then on each of its commits raises the commit counter. */
  readonly counting: boolean
  readonly commitCounter: number
  /** Each commit that changes something of the link raises it, in any life: by it a copy is told from the store. */
  readonly changes: number
  readonly epoch: Epoch | null
  /** The store was restored, and no epoch has begun since. */
  readonly restored: boolean
  /** Which ends were restored before the epoch was made. */
  readonly epochAfterRestoreOf: RestoredEnds | null
  /** A hello of ours has succeeded in the epoch. */
  readonly epochAgreed: boolean
  readonly knownOfPeer: KnownOfPeer | null
  readonly lastBatch: number
  readonly closedTold: boolean
}

/** Follower: what was answered to proposal `batch`; kept until the next comes. */
export interface VerdictRow {
  readonly batch: number
  readonly tag: Buffer
  readonly verdict: BatchVerdict
}

/**
 * - `awaited`: announced by the peer, not here;
 * - `unverified`: here, with material;
 * - `gone`: will never be taken here;
 * - `verified`: its bytes went to the lanes; the ref is kept with a fingerprint;
 * - `quarantined`: never delivered; the bytes are erased, ref and fingerprint are kept.
 */
export type BlockState = 'awaited' | 'unverified' | 'gone' | 'verified' | 'quarantined'

export interface BlockRow {
  readonly seq: number
  readonly linkId: LinkId
  readonly ref: BlockRef
  readonly lengthBytes: number
  readonly state: BlockState
  /** The peer has been told of it. */
  readonly announced: boolean
  /** The peer has told of it, with the same length. */
  readonly matched: boolean
  /** It is in a group of suspects. */
  readonly suspect: boolean
  /** Bytes at its start that were sacrificed. */
  readonly spentBytes: number
  /** Running time. */
  readonly receivedMs: number
  /** Which end of the device offered it; null while awaited or gone. */
  readonly end: DeviceEnd | null
  /** Keyed fingerprint of its bytes, 8 bytes; null while awaited or gone. */
  readonly fingerprint: Buffer | null
}

export interface ChunkKey {
  readonly linkId: LinkId
  readonly epoch: Epoch
  readonly lane: LaneName
  /** Covers bytes from number x CHUNK_BYTES on. */
  readonly number: number
}

export interface DeliveryRow {
  readonly seq: number
  readonly linkId: LinkId
  /** Of the epoch in which its range is. */
  readonly epoch: Epoch
  readonly delivery: Delivery
  /** Slaves here: few, in one column. */
  readonly slaves: readonly EntitledSlave[]
  /** Slaves at the peer, where this end allocated; else empty. */
  readonly remoteSlaves: readonly RegisteredSae[]
  readonly remoteKmeId: KmeId | null
  /** `none`: nobody has to be told, or that is over. */
  readonly remote: 'none' | 'unconfirmed' | 'confirmed'
  /** Running time. */
  readonly expiresMs: number
}

/** The answer to a request for keys by their IDs, kept for as long as it may be repeated. */
export interface RedeliveryRow {
  readonly seq: number
  /** Of who asked for what; 32 bytes. */
  readonly digest: Buffer
  readonly windowMs: number
  /** Running time: the keys' own end. */
  readonly expiresMs: number
  /** Running time: the end of the window. */
  readonly endsMs: number
  /** In the order of the answer; the bytes lie apart from the row. */
  readonly keyLengths: readonly number[]
}

export interface EntitledSlave extends RegisteredSae {
  /** One bit per key, the lowest of the first byte is key 0; set: not fetched yet. */
  readonly unfetched: Buffer
}
