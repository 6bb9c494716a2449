import { createHash, randomBytes } from 'node:crypto'
import { expect } from '@jest/globals'
import { ledgerDifference } from '../../src/model/ledger.ts'
import { makeDeliveryId } from '../../src/model/key-id.ts'
import { otherEnd, type Epoch, type LaneName } from '../../src/model/lane.ts'
import type { BlockRef, Piece } from '../../src/model/block.ts'
import type { Delivery, RegisteredSae } from '../../src/model/delivery.ts'
import type { IntakeBlock, LinkSnapshot, OwnWrite, Stamped } from '../../src/ports/lane-store.ts'
import type { Moment } from '../../src/model/moment.ts'
import type { BatchVerdict, ConfirmMessage, Stamp } from '../../src/ports/peer.ts'
import type { NewDelivery } from '../../src/ports/delivery-store.ts'
import type { Store } from '../../src/stores/store.ts'

/** An opened store; `reopen` closes it and opens what it kept, where it keeps anything. */
export interface StoreUnderTest {
  readonly store: Store
  readonly reopen?: () => Promise<Store>
  readonly dispose: () => Promise<void>
}

export type OpenStore = () => Promise<StoreUnderTest>

export const LINK = 'link-1'
export const DEVICE = 'device/1'
export const IDS = { verifier: 'kme-a', follower: 'kme-b' } as const
export const EPOCH: Epoch = { counter: 1, id: '0123456789abcdef0123456789abcdef' }
export const TAG = Buffer.alloc(16, 7)

export const at = (runningMs: number): Moment => ({
  runningMs,
  wallMs: 1_900_000_000_000 + runningMs,
})
export const refOf = (vendorId: string, streamId = 's'): BlockRef => ({
  deviceId: DEVICE,
  streamId,
  vendorId,
})

/** Bytes that are the same whenever they are asked for. */
export const bytesOf = (name: string, lengthBytes: number): Buffer => {
  const parts: Buffer[] = []
  for (let i = 0; parts.length * 32 < lengthBytes; i += 1) {
    parts.push(createHash('sha256').update(`${name}/${i}`).digest())
  }
  return Buffer.concat(parts).subarray(0, lengthBytes)
}

export const blockOf = (
  vendorId: string,
  lengthBytes: number,
  content = vendorId,
): IntakeBlock => ({
  ref: refOf(vendorId),
  material: Buffer.from(bytesOf(content, lengthBytes)),
  finding: null,
})

/** One end of a link: its store, and what a link would keep in memory. */
export class End {
  readonly name: LaneName
  readonly linkId: string
  store: Store
  snapshot!: LinkSnapshot
  saes: readonly RegisteredSae[] = []
  #rising = 0

  constructor(name: LaneName, store: Store, linkId = LINK) {
    this.name = name
    this.store = store
    this.linkId = linkId
  }

  async begin(): Promise<void> {
    const identity = { kmeId: IDS[this.name], peerKmeId: IDS[otherEnd(this.name)] }
    await this.store.openLink({ linkId: this.linkId, ...identity })
    await this.store.beginLife(this.linkId)
    await this.refresh()
  }

  async refresh(): Promise<LinkSnapshot> {
    this.snapshot = await this.store.readLink(this.linkId)
    return this.snapshot
  }

  get write(): OwnWrite {
    return { linkId: this.linkId, life: this.snapshot.life, epoch: this.snapshot.epoch }
  }

  get self(): { generation: string; life: number; commitCounter: number } {
    const { generation, life, commitCounter } = this.snapshot
    return { generation, life, commitCounter }
  }

  offer(blocks: readonly IntakeBlock[], nowMs = 0) {
    const intake = { deviceId: DEVICE, end: 'leader', blocks, checkpoint: null } as const
    return this.store.receiveBlocks(this.write, intake, at(nowMs))
  }

  async ledger() {
    return await this.store.readLedger(this.linkId)
  }

  /** Offset from which its own lane is free. */
  async nextFree(): Promise<number> {
    const { consumed } = (await this.refresh()).lanes[this.name]
    return consumed.at(-1)?.end ?? 0
  }

  delivery(offset: number, options: Partial<Delivery> = {}): Delivery {
    const [master] = this.saes
    if (!master) throw new Error('no SAE is registered')
    this.#rising += 1
    return {
      deliveryId: makeDeliveryId(this.#rising, randomBytes(10)),
      lane: this.name,
      offset,
      keyLengthBytes: 32,
      keyCount: 1,
      master,
      timeToLiveMs: 1000,
      ...options,
    }
  }

  commit(deliveries: readonly NewDelivery[], nowMs = 0) {
    return this.store.commitDeliveries(this.write, deliveries, at(nowMs))
  }
}

/** Both ends of a link, driven by hand as two links would drive them. */
export class Ends {
  readonly verifier: End
  readonly follower: End

  constructor(verifier: Store, follower: Store) {
    this.verifier = new End('verifier', verifier)
    this.follower = new End('follower', follower)
  }

  get both(): readonly [End, End] {
    return [this.verifier, this.follower]
  }

  other(end: End): End {
    return end === this.verifier ? this.follower : this.verifier
  }

  /** A link with an epoch, greeted, with two SAEs at each end that the other end knows. */
  static async greeted(verifier: Store, follower: Store): Promise<Ends> {
    const ends = new Ends(verifier, follower)
    for (const end of ends.both) await end.begin()
    await ends.beginEpoch(EPOCH)
    for (const end of ends.both) {
      const list = await end.store.registerSaes([`${end.name}-1`, `${end.name}-2`])
      end.saes = list.saes
      const other = ends.other(end)
      await other.store.applySaeList(LINK, ends.stamp(end), list)
    }
    return ends
  }

  async beginEpoch(epoch: Epoch): Promise<void> {
    for (const end of this.both) {
      await end.store.beginEpoch(end.write, epoch, this.other(end).self)
      await end.refresh()
    }
    await this.greet()
  }

  async greet(): Promise<void> {
    for (const end of this.both) {
      const peer = (await this.other(end).refresh()).lanes
      await end.store.applyHello(end.write, {
        peer: this.other(end).self,
        adopt: { verifier: peer.verifier.consumed, follower: peer.follower.consumed },
        closedBatch: end.name === 'follower' ? this.verifier.snapshot.lastBatch : null,
      })
      await end.refresh()
    }
  }

  /** What a message of `from` carries. */
  stamp(from: End, patch: Partial<Stamp> = {}): Stamp {
    const { epoch, life, commitCounter } = from.snapshot
    if (!epoch) throw new Error('no epoch')
    return {
      epoch,
      senderLife: life,
      receiverLife: this.other(from).snapshot.life,
      commitCounter,
      ...patch,
    }
  }

  /** Offers the same blocks at both ends. */
  async offerBoth(blocks: readonly (readonly [string, number])[], nowMs = 0): Promise<void> {
    for (const end of this.both) {
      await end.offer(
        blocks.map(([id, lengthBytes]) => blockOf(id, lengthBytes)),
        nowMs,
      )
    }
  }

  async announce(from: End): Promise<readonly BlockRef[]> {
    const blocks = await from.store.listUnannounced(LINK, 1000)
    const answer = await this.other(from).store.applyAnnouncement(LINK, this.stamp(from), blocks)
    const conflicting = applied(answer)
    const refs = blocks.map(({ ref }) => ref)
    await from.store.markAnnounced(from.write, refs, conflicting)
    return conflicting
  }

  async announceBoth(): Promise<void> {
    for (const end of this.both) await this.announce(end)
  }

  /** The pieces of the next batch, suspects first. */
  async nextPieces(): Promise<readonly Piece[]> {
    const { store } = this.verifier
    const matched = await store.listMatched(LINK, { maxBytes: 1 << 20, maxPieces: 1000 })
    return matched.suspects[0] ?? matched.pieces
  }

  /** Compares as a proof would: all bytes of all pieces. */
  async judge(pieces: readonly Piece[]): Promise<BatchVerdict> {
    const [ours, theirs] = await Promise.all(
      this.both.map((end) => end.store.readPieces(LINK, pieces)),
    )
    const missing = pieces.filter((_, i) => !theirs?.[i]).map(({ ref }) => ref)
    if (missing.length > 0) return { outcome: 'lacking', missing }
    const equal = pieces.every((_, i) => ours?.[i]?.equals(theirs?.[i] ?? Buffer.alloc(0)))
    return { outcome: equal ? 'equal' : 'unequal' }
  }

  /** Proposes the next batch and brings it to its end, told or not. */
  async runBatch(options: { readonly tell?: boolean } = {}) {
    const pieces = await this.nextPieces()
    const { verifier, follower } = this
    const batch = (await verifier.refresh()).lastBatch + 1
    await verifier.store.openProposal(verifier.write, { batch, pieces, tag: TAG })
    const given = await this.judge(pieces)
    const proposal = { batch, pieces, tag: TAG }
    const decided = applied(
      await follower.store.decideProposal(LINK, this.stamp(verifier), proposal, given),
    )
    if (decided.kind !== 'verdict') throw new Error(decided.reason)
    const closed = await verifier.store.closeProposal(verifier.write, batch, decided.verdict)
    if (options.tell !== false) await this.tellClosed(batch)
    for (const end of this.both) await end.refresh()
    return { verdict: decided.verdict, decided: decided.effect, closed, pieces }
  }

  async tellClosed(batch: number): Promise<void> {
    const { verifier, follower } = this
    applied(await follower.store.applyClosed(LINK, this.stamp(verifier), batch))
    await verifier.store.markClosedTold(verifier.write, batch)
  }

  /** Fills both lanes with `lengthBytes` in all, less the sacrifice. */
  async fill(lengthBytes: number, name = 'fill'): Promise<void> {
    await this.offerBoth([[name, lengthBytes]])
    await this.announceBoth()
    await this.runBatch()
  }

  async confirm(from: End, messages: readonly ConfirmMessage[], nowMs = 0) {
    const { store } = this.other(from)
    return applied(await store.applyConfirms(LINK, this.stamp(from), messages, at(nowMs)))
  }

  /** The ledgers balance, and count what the rows hold. */
  async check(): Promise<void> {
    for (const end of this.both) await checkLedger(end.store, LINK)
  }
}

export const checkLedger = async (store: Store, linkId: string): Promise<void> => {
  const { counters, rows } = await store.recountLedger(linkId)
  expect(ledgerDifference(counters)).toBe(0)
  const { unverified, ownLane, otherLane, granted, held } = counters.bytes
  expect(rows).toEqual({ unverified, ownLane, otherLane, granted, held })
}

export const applied = <T>(answer: Stamped<T>): T => {
  if (answer.kind !== 'applied') throw new Error(`answered ${answer.kind}`)
  return answer.value
}

export const confirmOf = (
  delivery: Delivery,
  slaves: readonly RegisteredSae[],
): ConfirmMessage => ({ kind: 'confirm', ...delivery, slaves })

/** Opens both stores, runs the test, and checks the ledgers after it. */
export const withEnds = async (
  open: OpenStore,
  work: (ends: Ends) => Promise<void>,
): Promise<void> => {
  const stores = [await open(), await open()] as const
  try {
    const ends = await Ends.greeted(stores[0].store, stores[1].store)
    await work(ends)
    await ends.check()
  } finally {
    for (const { dispose } of stores) await dispose()
  }
}
