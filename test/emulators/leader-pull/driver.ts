import { messageOf } from '../../../src/errors.ts'
import { refKey, type BlockRef } from '../../../src/model/block.ts'
import type {
  DriverContext,
  DriverStatus,
  FetchOutcome,
  KeyBlock,
  OpenOptions,
  QkdDriver,
} from '../../../src/ports/qkd-driver.ts'
import { wipe } from '../../../src/support/wipe.ts'
import type { BoxPair } from './boxes.ts'

const STREAM_ID = 'box'
const POLL_MS = 100

/** Driver of one end of a `BoxPair`: the leading end pulls, the following one fetches by ID. */
export class LeaderPullDriver implements QkdDriver {
  readonly type = 'test-leader-pull'
  readonly family = 'leader-pull'
  readonly #boxes: BoxPair
  #context: DriverContext | undefined
  #started = false
  #demand = 0
  #trouble: string | null = null
  #pulling = false
  #cancelPoll: (() => void) | undefined
  /** Keys that left the box and are not durable yet: the box will not give them again. */
  readonly #held = new Map<string, Buffer>()

  constructor(boxes: BoxPair) {
    this.#boxes = boxes
  }

  async open(context: DriverContext, options: OpenOptions): Promise<void> {
    this.#context = context
    if (options.afresh) this.#boxes.clear()
    context.events.changed()
  }

  async start(): Promise<void> {
    this.#started = true
    this.#context?.events.changed()
    this.#poll()
  }

  setDemand(bytes: number): void {
    this.#demand = bytes
    this.#poll()
  }

  async fetch(refs: readonly BlockRef[]): Promise<readonly FetchOutcome[]> {
    const outcomes: FetchOutcome[] = []
    for (const ref of refs) outcomes.push(await this.#fetchOne(ref))
    return outcomes
  }

  async ack(_refs: readonly BlockRef[]): Promise<void> {}

  async discard(refs: readonly BlockRef[], _why: string): Promise<void> {
    for (const ref of refs) {
      wipe(this.#held.get(refKey(ref)))
      this.#held.delete(refKey(ref))
    }
  }

  status(): DriverStatus {
    const common = {
      provenance: 'emulated' as const,
      secretKeyRateBps: null,
      qber: null,
      lossDb: null,
      bufferedBytes: null,
      controls: {},
    }
    if (this.#context === undefined) return { state: 'closed', reason: 'closed', ...common }
    if (!this.#started) return { state: 'initialising', reason: 'not started yet', ...common }
    return { state: this.#trouble === null ? 'running' : 'down', reason: this.#trouble, ...common }
  }

  async close(): Promise<void> {
    const context = this.#context
    this.#context = undefined
    this.#started = false
    this.#cancelPoll?.()
    for (const key of this.#held.values()) wipe(key)
    this.#held.clear()
    context?.events.changed()
  }

  #poll(): void {
    if (this.#context?.role !== 'leader' || this.#pulling || !this.#started) return
    this.#pulling = true
    this.#cancelPoll?.()
    void this.#pull().finally(() => {
      this.#pulling = false
      this.#cancelPoll = this.#context?.clock.after(POLL_MS, () => {
        this.#poll()
      })
    })
  }

  async #pull(): Promise<void> {
    while (this.#demand > 0 && this.#context !== undefined) {
      if (this.#held.size === 0 && !this.#draw()) return
      for (const [key, material] of this.#held) {
        this.#demand -= material.length
        if (!(await this.#offer(key, material))) return
      }
    }
  }

  #draw(): boolean {
    const drawn = this.#boxes.draw()
    if (drawn === null) return false
    this.#held.set(refKey(this.#refOf(drawn.id)), drawn.key)
    return true
  }

  #refOf(id: string): BlockRef {
    return { deviceId: this.#context?.deviceId ?? '', streamId: STREAM_ID, vendorId: id }
  }

  async #fetchOne(ref: BlockRef): Promise<FetchOutcome> {
    const key = refKey(ref)
    if (!this.#held.has(key)) {
      const answer = this.#boxes.ask(ref.vendorId)
      if (answer.kind === 'refused') return 'gone'
      if (answer.kind === 'lost') return 'retry'
      this.#held.set(key, answer.key)
    }
    const material = this.#held.get(key)
    return material !== undefined && (await this.#offer(key, material)) ? 'ok' : 'retry'
  }

  /** Offers a copy: the sink wipes what it gets, and the box would not give the key again. */
  async #offer(key: string, material: Buffer): Promise<boolean> {
    const [deviceId, streamId, vendorId] = JSON.parse(key) as [string, string, string]
    const ref = { deviceId, streamId, vendorId }
    const block: KeyBlock = { ref, material: Buffer.from(material), provenance: 'emulated' }
    try {
      await this.#context?.sink.offer([block])
      this.#trouble = null
      wipe(material)
      this.#held.delete(key)
      return true
    } catch (error) {
      this.#trouble = messageOf(error)
      return false
    } finally {
      wipe(block.material)
      this.#context?.events.changed()
    }
  }
}
