import { createCipheriv, hkdfSync } from 'node:crypto'
import { KmeError } from '../../errors.ts'
import { BITS_PER_BYTE, MS_PER_S } from '../../model/units.ts'
import type { ControlValue, DriverContext } from '../../ports/qkd-driver.ts'
import { wipe } from '../../support/wipe.ts'
import type { EndStatus, SimulatorEnd } from './end.ts'
import type { Faults } from './faults.ts'
import { linkConditions, type LinkConditions } from './link-model.ts'
import type { SimulatorOptions } from './options.ts'
import { Outlet } from './outlet.ts'

const KEY_BYTES = 32
const SESSION_BYTES = 16
const CHACHA_IV_BYTES = 16
const CHECKPOINT_BYTES = 8
/**
 * An end without a checkpoint begins at a multiple of this, so that two ends that start a little
 * apart begin at the same block; one that fell further behind leaves blocks out.
 */
const ALIGN_BLOCKS = 64
const MIN_TICK_MS = 5
const MAX_TICK_MS = 1000

/** Block i of a seed: the same bytes wherever seed, link, device and block size are the same. */
export class SeededBlocks {
  /** Public name of the run of blocks. */
  readonly session: string
  readonly #key: Buffer
  readonly #blockBytes: number

  constructor(seed: string, names: { linkId: string; deviceId: string }, blockBytes: number) {
    const scope = JSON.stringify([names.linkId, names.deviceId, blockBytes])
    const derive = (what: string, length: number): Buffer =>
      Buffer.from(hkdfSync('sha256', seed, 'keyspring simulator seed', `${what} ${scope}`, length))
    this.#key = derive('key', KEY_BYTES)
    this.session = derive('session', SESSION_BYTES).toString('hex')
    this.#blockBytes = blockBytes
  }

  block(index: number): Buffer {
    const iv = Buffer.alloc(CHACHA_IV_BYTES)
    iv.writeBigUInt64LE(BigInt(index), CHACHA_IV_BYTES - 8)
    return createCipheriv('chacha20', this.#key, iv).update(Buffer.alloc(this.#blockBytes))
  }

  wipe(): void {
    wipe(this.#key)
  }
}

/**
 * An end that needs no other: both derive the same blocks from the seed, each on a schedule counted
 * from t0 on the wall clock. Only the schedule depends on the clock, never a block.
 */
export class SeededEnd implements SimulatorEnd {
  readonly #context: DriverContext
  readonly #options: SimulatorOptions
  readonly #faults: Faults
  readonly #afresh: boolean
  readonly #blocks: SeededBlocks
  readonly #outlet: Outlet
  readonly #conditions: LinkConditions
  readonly #intervalMs: number
  #next = 0
  #started = false
  #closed = false
  #cancelTick: (() => void) | undefined

  constructor(
    context: DriverContext,
    options: SimulatorOptions,
    parts: { readonly faults: Faults; readonly seed: string; readonly afresh: boolean },
  ) {
    this.#context = context
    this.#options = options
    this.#faults = parts.faults
    this.#afresh = parts.afresh
    this.#blocks = new SeededBlocks(parts.seed, context, options.blockBytes)
    this.#outlet = new Outlet(context, parts.faults, () => {
      context.events.changed()
    })
    this.#conditions = linkConditions(options, options)
    const bitsPerMs = (this.#conditions.secretKeyRateBps * options.speedUp) / MS_PER_S
    this.#intervalMs = (options.blockBytes * BITS_PER_BYTE) / bitsPerMs
  }

  async open(): Promise<void> {
    const checkpoint = this.#afresh ? null : await this.#context.checkpoint()
    const made = this.#made()
    if (checkpoint?.length === CHECKPOINT_BYTES) this.#next = Number(checkpoint.readBigUInt64BE())
    else this.#next = this.#afresh ? made : made - (made % ALIGN_BLOCKS)
  }

  start(): void {
    this.#started = true
    this.#flow()
  }

  setDemand(bytes: number): void {
    this.#outlet.setDemand(bytes)
    this.#flow()
  }

  async control(name: string, _value: ControlValue): Promise<void> {
    throw new KmeError(
      'BAD_REQUEST',
      `with a seed the ends have no channel, so "${name.slice(0, 80)}" cannot be switched while they run: set it as an option of both ends`,
    )
  }

  faultsChanged(): void {
    this.#outlet.pump()
    this.#flow()
  }

  status(): EndStatus {
    const { secretKeyRateBps, qber, lossDb, reason } = this.#conditions
    const { lengthKm, extraLossDb, eavesdropper } = this.#options
    return {
      disconnected: null,
      everConnected: true,
      secretKeyRateBps,
      qber,
      lossDb,
      degraded: reason ?? this.#outlet.trouble,
      bufferedBytes: this.#outlet.queuedBytes,
      controls: { lengthKm, extraLossDb, eavesdropper },
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#cancelTick?.()
    this.#outlet.close()
    this.#blocks.wipe()
  }

  /** Blocks made since t0, complete ones, in whole bursts where there are any. */
  #made(): number {
    const { burst, speedUp, t0Ms } = this.#options
    const passedMs = Math.max(0, this.#context.clock.wallMs() - t0Ms)
    if (this.#intervalMs === Infinity) return 0
    if (burst === undefined) return Math.floor(passedMs / this.#intervalMs)
    const burstMs = (burst.everyS * MS_PER_S) / speedUp
    const perBurst = Math.min(burst.blocks, Math.floor(burstMs / this.#intervalMs))
    return Math.floor(passedMs / burstMs) * perBurst
  }

  #flow(): void {
    this.#cancelTick?.()
    if (!this.#started || this.#closed) return
    const made = this.#made()
    this.#leaveOut(made)
    while (this.#next < made && this.#outlet.wantedBytes > 0 && !this.#faults.stalled) this.#make()
    if (this.#intervalMs === Infinity) return
    const delayMs = Math.min(MAX_TICK_MS, Math.max(MIN_TICK_MS, this.#intervalMs))
    this.#cancelTick = this.#context.clock.after(delayMs, () => {
      this.#flow()
    })
  }

  /** A schedule that ran on without this end: it goes on at the blocks that the other end makes now. */
  #leaveOut(made: number): void {
    const perBurst = this.#options.burst?.blocks ?? 0
    const behind = made - this.#next
    if (behind <= 2 * ALIGN_BLOCKS + perBurst) return
    const next = made - perBurst - ((made - perBurst) % ALIGN_BLOCKS)
    const left = next - this.#next
    this.#next = next
    this.#context.events.gap(left, 'the schedule of the seed ran on while this end took no blocks')
  }

  #make(): void {
    const index = this.#next
    this.#next += 1
    const checkpoint = Buffer.alloc(CHECKPOINT_BYTES)
    checkpoint.writeBigUInt64BE(BigInt(this.#next))
    this.#outlet.push({
      ref: {
        deviceId: this.#context.deviceId,
        streamId: this.#blocks.session,
        vendorId: String(index),
      },
      material: this.#blocks.block(index),
      qber: this.#conditions.qber,
      checkpoint,
      done: () => undefined,
    })
  }
}
