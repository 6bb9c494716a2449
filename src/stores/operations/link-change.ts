import { KmeError } from '../../errors.ts'
import { endOf, type Epoch, type LaneName, type LinkEnd } from '../../model/lane.ts'
import type { LedgerState } from '../../model/ledger.ts'
import type { LinkId } from '../../model/ids.ts'
import { coveredBytes, lengthOf, overlaps, presentIn, type Range } from '../../model/range.ts'
import type { LinkRow, StoreTx } from '../store-tx.ts'
import { LaneEdit } from './lane-edit.ts'
import { LedgerEdit } from './ledger-edit.ts'

/**
 * One operation's changes of a link: its row, its ledger and its lanes are each read at most once
 * and written at most once, by `save`.
 */
export class LinkChange {
  readonly tx: StoreTx
  readonly lanes: LaneEdit
  readonly end: LinkEnd
  readonly isSelf: boolean
  #row: LinkRow
  #ledger: LedgerEdit | null = null
  #changed = false

  constructor(tx: StoreTx, row: LinkRow) {
    const { linkId, kmeId, peerKmeId } = row.identity
    this.tx = tx
    this.#row = row
    this.lanes = new LaneEdit(tx, linkId, row.epoch)
    this.end = endOf(kmeId, peerKmeId)
    this.isSelf = kmeId === peerKmeId
  }

  get row(): LinkRow {
    return this.#row
  }

  get linkId(): LinkId {
    return this.#row.identity.linkId
  }

  /** @throws KmeError NOT_READY where there is none */
  requireEpoch(): Epoch {
    if (this.#row.epoch) return this.#row.epoch
    throw new KmeError('NOT_READY', `link ${this.linkId} has no epoch yet`)
  }

  owns(lane: LaneName): boolean {
    return this.isSelf || lane === this.end
  }

  /** Where the ledger has bytes of the lane that are free and not granted. */
  laneLedgerState(lane: LaneName): 'ownLane' | 'otherLane' {
    return this.owns(lane) ? 'ownLane' : 'otherLane'
  }

  /** Consumes a free range, all of it granted or none: the ledger has it delivered. The caller wipes the bytes. */
  take(lane: LaneName, range: Range): Buffer {
    const isGranted = overlaps(this.lanes.state(lane).granted, range)
    const bytes = this.lanes.take(lane, range)
    this.move(isGranted ? 'granted' : this.laneLedgerState(lane), 'delivered', bytes.length)
    return bytes
  }

  /** Consumes and erases what is free of the range, granted or not. */
  erase(lane: LaneName, range: Range, to: LedgerState): void {
    const grantedBytes = coveredBytes(presentIn(this.lanes.state(lane).granted, range))
    const erasedBytes = this.lanes.erase(lane, range)
    this.move('granted', to, grantedBytes)
    this.move(this.laneLedgerState(lane), to, erasedBytes - grantedBytes)
  }

  /** The range becomes the other end's to allocate from, or ours where the lane is not ours. */
  grant(lane: LaneName, range: Range): void {
    this.lanes.grant(lane, range)
    this.move(this.laneLedgerState(lane), 'granted', lengthOf(range))
  }

  /** Something of the link changes: its commit counter will rise. */
  touch(): void {
    this.#changed = true
  }

  update(patch: Partial<Omit<LinkRow, 'identity' | 'commitCounter' | 'changes'>>): void {
    this.#row = { ...this.#row, ...patch }
    this.touch()
  }

  /** Keeps the highest counter that the peer told. */
  sawPeerCounter(commitCounter: number): void {
    const known = this.#row.knownOfPeer
    if (known && commitCounter > known.commitCounter) {
      this.update({ knownOfPeer: { ...known, commitCounter } })
    }
  }

  receive(state: LedgerState, bytes: number): void {
    this.#openLedger().receive(state, bytes)
  }

  move(from: LedgerState, to: LedgerState, bytes: number): void {
    if (bytes !== 0) this.#openLedger().move(from, to, bytes)
  }

  /** All that is in one state goes to another. */
  moveAll(from: LedgerState, to: LedgerState): void {
    this.move(from, to, this.#openLedger().bytesIn(from))
  }

  gap(bytes: number): void {
    this.#openLedger().gap(bytes)
  }

  /** Writes what has changed; what follows starts from there. */
  save(): void {
    this.lanes.save()
    if (this.#ledger) this.tx.writeLedger(this.linkId, this.#ledger.result())
    this.#ledger = null
    if (!this.#changed) return
    const { counting, commitCounter, changes } = this.#row
    this.#row = {
      ...this.#row,
      commitCounter: commitCounter + (counting ? 1 : 0),
      changes: changes + 1,
    }
    this.tx.writeLink(this.#row)
    this.#changed = false
  }

  wipe(): void {
    this.lanes.wipe()
  }

  #openLedger(): LedgerEdit {
    this.touch()
    this.#ledger ??= new LedgerEdit(this.tx.readLedger(this.linkId))
    return this.#ledger
  }
}
