import { messageOf } from '../../errors.ts'
import type { BlockRef } from '../../model/block.ts'
import type { DriverContext, KeyBlock } from '../../ports/qkd-driver.ts'
import { Backoff } from '../../support/backoff.ts'
import { wipe } from '../../support/wipe.ts'
import type { Faults } from './faults.ts'

const MAX_OFFER_BLOCKS = 64
const MAX_OFFER_BYTES = 1024 * 1024
const RETRY = { firstMs: 100, mostMs: 10_000 }

export interface OutgoingBlock {
  readonly ref: BlockRef
  readonly material: Buffer
  readonly qber: number
  readonly checkpoint?: Buffer
  /** The block is with the sink for good, or lost to a fault. */
  readonly done: () => void
}

interface Item extends OutgoingBlock {
  /** How often it is handed over; undecided until its turn has come. */
  copies?: number
}

/**
 * Hands the blocks of one end to the sink, in order, as far as the link wants them, and tries again
 * where the sink cannot store. Faults of this end happen here.
 */
export class Outlet {
  readonly #context: DriverContext
  readonly #faults: Faults
  readonly #backoff: Backoff
  readonly #changed: () => void
  #queue: Item[] = []
  #queuedBytes = 0
  /** Bytes that the link wants beyond what it was handed. */
  #credit = 0
  #demandCalls = 0
  #offering = false
  #offeringBytes = 0
  #closed = false
  #cancelRetry: (() => void) | undefined
  #trouble: string | null = null

  /** `changed`: the trouble came or went. */
  constructor(context: DriverContext, faults: Faults, changed: () => void) {
    this.#context = context
    this.#faults = faults
    this.#changed = changed
    this.#backoff = new Backoff({ random: context.random, ...RETRY })
  }

  get queuedBytes(): number {
    return this.#queuedBytes
  }

  /** Bytes that the link wants beyond what is queued; negative where less is wanted than there is. */
  get wantedBytes(): number {
    return this.#credit - (this.#queuedBytes - this.#offeringBytes)
  }

  /** Why blocks wait, or null. */
  get trouble(): string | null {
    return this.#trouble
  }

  setDemand(bytes: number): void {
    this.#credit = Math.max(0, bytes)
    this.#demandCalls += 1
    this.pump()
  }

  /** Takes the block over. */
  push(block: OutgoingBlock): void {
    if (this.#closed) {
      wipe(block.material)
      return
    }
    this.#queue.push({ ...block })
    this.#queuedBytes += block.material.length
    this.pump()
  }

  /** Goes on where it may have been held up. */
  pump(): void {
    if (this.#offering || this.#closed || this.#cancelRetry !== undefined) return
    if (this.#faults.stalled || this.#credit <= 0 || this.#queue.length === 0) return
    this.#offering = true
    void this.#offer()
  }

  close(): void {
    this.#closed = true
    this.#cancelRetry?.()
    for (const { material } of this.#queue) wipe(material)
    this.#queue = []
    this.#queuedBytes = 0
  }

  async #offer(): Promise<void> {
    const items = this.#batch()
    const blocks = items.flatMap((item) => this.#blocksOf(item))
    const checkpoint = items.findLast((item) => item.checkpoint !== undefined)?.checkpoint
    const refund = this.#spend(items)
    try {
      if (blocks.length > 0) await this.#context.sink.offer(blocks, checkpoint)
      this.#offering = false
      this.#offeringBytes = 0
      this.#succeeded(items)
    } catch (error) {
      this.#offering = false
      this.#offeringBytes = 0
      refund()
      this.#failed(error)
    } finally {
      for (const { material } of blocks) wipe(material)
    }
    this.pump()
  }

  /** Spends before it offers: a demand that comes meanwhile counts from after this offer. */
  #spend(items: readonly Item[]): () => void {
    const sum = (some: readonly Item[]) => some.reduce((n, { material }) => n + material.length, 0)
    const before = this.#credit
    const calls = this.#demandCalls
    this.#offeringBytes = sum(items)
    this.#credit = Math.max(0, before - sum(items.filter(({ copies }) => copies !== 0)))
    return () => {
      if (this.#demandCalls === calls) this.#credit = before
    }
  }

  #batch(): readonly Item[] {
    let bytes = 0
    let count = 0
    const most = Math.min(MAX_OFFER_BYTES, this.#credit)
    for (const { material } of this.#queue) {
      if (count === MAX_OFFER_BLOCKS || (count > 0 && bytes >= most)) break
      bytes += material.length
      count += 1
    }
    return this.#queue.slice(0, count)
  }

  /** Copies for the sink, which wipes what it gets: the block itself is kept until it is stored. */
  #blocksOf(item: Item): readonly KeyBlock[] {
    item.copies ??= this.#faults.copiesOf(item.material)
    return Array.from({ length: item.copies }, () => {
      const material = Buffer.allocUnsafeSlow(item.material.length)
      item.material.copy(material)
      return { ref: item.ref, material, qber: item.qber, provenance: 'simulated' as const }
    })
  }

  #succeeded(items: readonly Item[]): void {
    if (this.#closed) return
    this.#backoff.reset()
    this.#queue.splice(0, items.length)
    for (const item of items) {
      const { length } = item.material
      this.#queuedBytes -= length
      wipe(item.material)
      if (item.copies === 0) this.#context.events.gap(1, 'lost by the switch dropNextBlocks')
      item.done()
    }
    this.#setTrouble(null)
  }

  #failed(error: unknown): void {
    if (this.#closed) return
    this.#cancelRetry = this.#context.clock.after(this.#backoff.next(), () => {
      this.#cancelRetry = undefined
      this.pump()
    })
    this.#setTrouble(`blocks cannot be stored and wait: ${messageOf(error)}`)
  }

  #setTrouble(trouble: string | null): void {
    if (this.#trouble === trouble) return
    this.#trouble = trouble
    this.#changed()
  }
}
