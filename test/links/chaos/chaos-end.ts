import type { IssueRequest, IssuedKeys } from '../../../src/ports/destination.ts'
import { ChaosWire } from './chaos-wire.ts'
import { DEVICE_ID, LINK_ID } from '../../helpers/link-pair.ts'
import type { Dice } from './dice.ts'
import type { FakeClock } from '../../helpers/fake-clock.ts'
import type { LinkParts } from '../../../src/links/link-parts.ts'
import type { OfferOutcome } from '../../../src/ports/qkd-driver.ts'
import type { PeerHandler } from '../../../src/ports/peer.ts'
import { PeerLink } from '../../../src/links/peer-link.ts'
import { ProcessLife } from './process.ts'
import { PushDriver } from '../../helpers/push-driver.ts'
import { RecordingObserver } from '../../helpers/recording-observer.ts'
import type { RegisteredSae } from '../../../src/model/delivery.ts'
import type { Store } from '../../../src/stores/store.ts'

interface WaitingBlock {
  readonly vendorId: string
  readonly material: Buffer
  readonly notBeforeMs: number
}

export interface ChaosEndOptions {
  readonly kmeId: string
  readonly peerKmeId: string
  readonly store: Store
  readonly clock: FakeClock
  readonly dice: Dice
  readonly keyLifetimeMs: number
}

const SETTLE_MS = 200

/** One end of a link as a process that can be stopped, killed and started on its store. */
export class ChaosEnd {
  readonly options: ChaosEndOptions
  readonly observer = new RecordingObserver()
  readonly fatal: unknown[] = []
  saes: readonly RegisteredSae[] = []
  wire!: ChaosWire
  life = new ProcessLife()
  #driver = new PushDriver()
  #link: PeerLink | null = null
  #other: ChaosEnd | null = null
  #blocks: WaitingBlock[] = []
  #pushing = false

  constructor(options: ChaosEndOptions) {
    this.options = options
  }

  meet(other: ChaosEnd): void {
    this.#other = other
  }

  get link(): PeerLink {
    if (!this.#link) throw new Error('not started')
    return this.#link
  }

  /** What the other end reaches. */
  get handler(): PeerHandler | null {
    return this.#link
  }

  async start(): Promise<void> {
    const { clock, dice, store, kmeId } = this.options
    this.life = new ProcessLife()
    this.#pushing = false
    const life = this.life
    const list = await store.registerSaes([`${kmeId}-1`, `${kmeId}-2`])
    this.saes = list.saes
    this.wire = new ChaosWire({ clock, dice, handler: () => this.#other?.handler ?? null })
    const parts: LinkParts = {
      settings: this.#settings(),
      store: life.store(store),
      clock: life.clock(clock),
      random: dice,
      now: () => this.now(),
      observer: this.observer,
      ownSaes: () => list,
      fatal: (error) => this.fatal.push(error),
    }
    this.#link = await PeerLink.open(parts, this.wire, () => undefined)
    this.#link.start()
  }

  now = () => ({ runningMs: this.options.clock.monotonicMs() + 1, wallMs: 0 })

  /** As a signal that nobody can catch: no goodbye, nothing that follows is ever done. */
  kill(): void {
    this.life.kill()
    this.wire.cut = true
    this.#link = null
    this.#other?.wire.breakConnection()
  }

  async stop(): Promise<void> {
    const { link } = this
    await link.stop()
    this.life.kill()
    this.#link = null
    this.#other?.wire.breakConnection()
  }

  get isUp(): boolean {
    return this.#link !== null
  }

  /** The promise of a call of this process. */
  issue(request: IssueRequest): Promise<IssuedKeys> {
    return this.life.lived(this.link.destination.issue(request))
  }

  /** The device will have the block, now or later; it offers it until it is told that it is stored. */
  deliverBlock(block: WaitingBlock): void {
    this.#blocks.push(block)
  }

  /** Moves one block on; to be called often. */
  pushNext(): void {
    const nowMs = this.options.clock.monotonicMs()
    const block = this.#blocks.find(({ notBeforeMs }) => notBeforeMs <= nowMs)
    if (!block || this.#pushing || !this.isUp || !this.#driver.isOpen) return
    this.#pushing = true
    const { vendorId, material } = block
    const done = (outcomes: readonly OfferOutcome[]): void => {
      this.#pushing = false
      if (outcomes.length > 0) this.#blocks = this.#blocks.filter((waiting) => waiting !== block)
    }
    this.life
      .lived(this.#driver.push({ vendorId, material: Buffer.from(material) }))
      .then(done, () => {
        done([])
      })
  }

  get hasBlocksToCome(): boolean {
    return this.#blocks.length > 0
  }

  #settings(): LinkParts['settings'] {
    const { kmeId, peerKmeId, keyLifetimeMs } = this.options
    return {
      linkId: LINK_ID,
      kmeId,
      peerKmeId,
      confirm: 'peer' as const,
      confirmDeadlineMs: 300,
      limits: {
        defaultKeySizeBits: 256,
        minKeySizeBits: 64,
        maxKeySizeBits: 4096,
        maxKeysPerRequest: 128,
        maxKeyCount: 100_000,
        maxAdditionalSlaves: 16,
        keyLifetimeMs,
        redeliveryWindowMs: 0,
      },
      maxAgeMs: null,
      poolBytes: 3_200_000,
      highWaterFraction: 0.8,
      lowWaterFraction: 0.6,
      devices: [
        {
          deviceId: DEVICE_ID,
          role: kmeId < peerKmeId ? 'leader' : 'follower',
          settleMs: SETTLE_MS,
          createDriver: () => (this.#driver = new PushDriver()),
        },
      ],
    }
  }
}
