import type { AnnouncedBlock } from '../ports/peer.ts'
import type {
  ControlValue,
  DriverContext,
  DriverMessageBody,
  DriverStatus,
  KeyBlock,
  OfferOutcome,
  QkdDriver,
} from '../ports/qkd-driver.ts'
import type { DeviceSettings, LinkParts } from './link-parts.ts'
import { KmeError, messageOf } from '../errors.ts'
import type { LaneStretch, OwnWrite, ReceivedBlocks } from '../ports/lane-store.ts'
import type { DeviceId } from '../model/ids.ts'
import type { AlarmName } from '../ports/observer.ts'
import { Backoff } from '../support/backoff.ts'
import { checkedRef } from './checked-ref.ts'
import type { BlockRef } from '../model/block.ts'
import { DeviceHealth } from './device-health.ts'
import type { LinkState } from './link-state.ts'
import type { Epoch } from '../model/lane.ts'
import { Loop } from '../support/loop.ts'
import { sameEpoch } from '../model/lane.ts'
import { storeInParts } from './offer-parts.ts'
import { wipe } from '../support/wipe.ts'

const MOST_FETCHED_AT_ONCE = 64
const ASK_AGAIN_MS = 1_000
const CLOSE_DRAIN_MS = 1_000

export interface DeviceLinks {
  /** Sends to the driver at the other end; rejects where it did not arrive. */
  readonly sendToOtherEnd: (
    deviceId: DeviceId,
    type: string,
    body: DriverMessageBody,
  ) => Promise<void>
  /** Blocks were stored: there is something to announce, and the pool has grown. */
  readonly stored: (appended: readonly LaneStretch[]) => void
}

/** One end of a device: runs its driver, tests and stores its blocks, fetches what the other end announced. */
export class Device {
  readonly settings: DeviceSettings
  readonly #parts: LinkParts
  readonly #state: LinkState
  readonly #links: DeviceLinks
  #driver: QkdDriver
  readonly #health: DeviceHealth
  readonly #opener: Loop
  readonly #fetcher: Loop
  readonly #openBackoff: Backoff
  readonly #handlers = new Map<string, (body: DriverMessageBody) => Promise<void>>()
  #opened = false
  /** The driver was asked to open: it is opened once, and another is made for another epoch. */
  #usedIn: Epoch | null = null
  #stopped: string | null = null
  #demandBytes = 0
  /** Running time since which the device could deliver without a break, or null. */
  #flowingSinceMs: number | null = null
  #lastFault: string | null = null
  #askAgainMs = 0
  #gapBlocks = 0

  constructor(parts: LinkParts, state: LinkState, settings: DeviceSettings, links: DeviceLinks) {
    this.settings = settings
    this.#parts = parts
    this.#state = state
    this.#links = links
    this.#driver = settings.createDriver()
    this.#health = new DeviceHealth(parts.random)
    this.#openBackoff = new Backoff({ random: parts.random, firstMs: 500, mostMs: 60_000 })
    this.#opener = new Loop({
      clock: parts.clock,
      pass: () => this.#open(),
      failed: (error) => this.#openFailed(error),
    })
    this.#fetcher = new Loop({
      clock: parts.clock,
      pass: () => this.#fetchAwaited(),
      failed: () => ASK_AGAIN_MS,
    })
  }

  /** Opens the driver as soon as the link has an epoch; call again when it may have got one. */
  start(): void {
    this.#opener.start()
    this.#opener.kick()
    if (this.#driver.fetch) {
      this.#fetcher.start()
      this.#fetcher.kick()
    }
  }

  async stop(): Promise<void> {
    await Promise.all([this.#opener.stop(), this.#fetcher.stop()])
    await this.#driver.close({ drainMs: CLOSE_DRAIN_MS })
    this.#opened = false
  }

  status(): DriverStatus {
    const status = this.#driver.status()
    if (this.#stopped) return { ...status, state: 'failed', reason: this.#stopped }
    if (!this.#opened) return { ...status, reason: this.#lastFault ?? 'not opened yet' }
    return status
  }

  get gapBlocks(): number {
    return this.#gapBlocks
  }

  get stoppedFor(): string | null {
    return this.#stopped
  }

  /** How many bytes the link still wants; 0: the device is to pause. */
  setDemand(bytes: number): void {
    this.#demandBytes = bytes
    if (this.#opened) this.#driver.setDemand(bytes)
    this.#noteFlow()
  }

  async control(name: string, value: ControlValue): Promise<void> {
    if (!this.#driver.control) {
      throw new KmeError('BAD_REQUEST', `device ${this.settings.deviceId} has no switches`)
    }
    await this.#driver.control(name, value)
  }

  async receiveFromOtherEnd(type: string, body: DriverMessageBody): Promise<void> {
    const handler = this.#handlers.get(type)
    if (!handler) throw new KmeError('BAD_REQUEST', `no driver takes messages of type ${type}`)
    await handler(body)
  }

  /** Whether a block that is not here may still be delivered by this device. */
  mayStillCome(nowMs: number): boolean {
    if (this.#stopped) return false
    // A box that is asked by ID has refused for good, or will be asked again.
    if (this.#driver.fetch) return true
    this.#noteFlow()
    return this.#flowingSinceMs === null || nowMs - this.#flowingSinceMs < this.settings.settleMs
  }

  /** Blocks that only this end has, after the settle time; each is asked for again after a while. */
  async overdueBlocks(sessionSinceMs: number, limit: number): Promise<readonly AnnouncedBlock[]> {
    const nowMs = this.#parts.now().runningMs
    const settleMs = this.#driver.family === 'leader-pull' ? 0 : this.settings.settleMs
    if (nowMs < this.#askAgainMs || nowMs - sessionSinceMs < settleMs) return []
    const { store, settings } = this.#parts
    const { deviceId } = this.settings
    const blocks = await store.listUnmatched(settings.linkId, deviceId, nowMs - settleMs, limit)
    if (blocks.length > 0) this.#askAgainMs = nowMs + ASK_AGAIN_MS
    return blocks
  }

  /** The other end will never have these; they were dropped here. */
  async discard(refs: readonly BlockRef[]): Promise<void> {
    await this.#driver.discard(refs, 'gone at the other end')
  }

  /** Blocks were announced: those of a box that is asked by ID can be fetched. */
  announced(): void {
    if (this.#driver.fetch) this.#fetcher.kick()
  }

  async #open(): Promise<number | null> {
    const { epoch, restored } = this.#state.snapshot
    if (this.#usedIn && (restored || !sameEpoch(this.#usedIn, epoch))) await this.#leaveEpoch()
    // What comes into an epoch of before a restore is lost.
    if (this.#opened || this.#stopped || !epoch || restored) return null
    this.#usedIn = epoch
    await this.#openDriver(epoch)
    await this.#driver.start()
    this.#opened = true
    this.#lastFault = null
    this.#openBackoff.reset()
    this.#driver.setDemand(this.#demandBytes)
    this.#noteFlow()
    this.#clearAlarm('device-failed')
    this.#tellProvenance()
    return null
  }

  /** In an epoch after a restore what the source holds from before may have been issued. */
  async #openDriver(epoch: Epoch): Promise<void> {
    const { store, settings } = this.#parts
    const { deviceId, role } = this.settings
    const afresh = await store.mustOpenAfresh(settings.linkId, deviceId, role)
    await this.#driver.open(this.#context(epoch), { afresh })
    if (!afresh) return
    try {
      await store.markOpenedAfresh(this.#writeIn(epoch), deviceId, role)
    } catch (error) {
      // A driver is opened once.
      await this.#renewDriver()
      throw error
    }
  }

  /** The write names the epoch in which the device was opened, whatever has begun since. */
  #writeIn(epoch: Epoch): OwnWrite {
    return { ...this.#state.ownWrite(), epoch }
  }

  /** What the driver still has belongs to an epoch that is over. */
  async #leaveEpoch(): Promise<void> {
    this.#opened = false
    this.#noteFlow()
    await this.#renewDriver()
  }

  async #renewDriver(): Promise<void> {
    await this.#driver.close({ drainMs: 0 })
    this.#handlers.clear()
    this.#driver = this.settings.createDriver()
    this.#usedIn = null
  }

  /** Keys that are no secret must not be taken for some. */
  #tellProvenance(): void {
    const { provenance } = this.#driver.status()
    if (provenance === 'hardware') return
    const message = `its key is ${provenance}, not from hardware: no secret`
    this.#alarm('simulated-keys', 'minor', message)
  }

  #openFailed(error: unknown): number {
    const reason = messageOf(error)
    if (reason !== this.#lastFault) this.#alarm('device-failed', 'major', reason)
    this.#lastFault = reason
    return this.#openBackoff.next()
  }

  #context(epoch: Epoch): DriverContext {
    const { settings, clock, random, store } = this.#parts
    const { linkId } = settings
    const { deviceId, role } = this.settings
    return {
      linkId,
      deviceId,
      role,
      clock,
      random,
      sink: { offer: (blocks, checkpoint) => this.#offer(epoch, blocks, checkpoint) },
      checkpoint: () => store.readCheckpoint(linkId, deviceId),
      channel: {
        send: (type, body) => this.#links.sendToOtherEnd(deviceId, type, body),
        on: (type, handler) => {
          this.#handlers.set(type, handler)
        },
      },
      events: {
        changed: () => {
          this.#noteFlow()
        },
        alarm: (severity, message) => {
          this.#alarm('device-failed', severity, message)
        },
        gap: (blocks, why) => {
          this.#gapBlocks += blocks
          this.#event('warn', 'device.gap', `lost ${String(blocks)} blocks: ${why}`)
        },
      },
    }
  }

  async #offer(
    epoch: Epoch,
    blocks: readonly KeyBlock[],
    checkpoint?: Buffer,
  ): Promise<readonly OfferOutcome[]> {
    try {
      if (!sameEpoch(epoch, this.#state.snapshot.epoch)) return blocks.map(() => 'refused')
      const outcomes = await storeInParts(blocks, checkpoint ?? null, this.#store.bind(this, epoch))
      void this.#acknowledge(blocks, outcomes)
      return outcomes
    } finally {
      wipe(...blocks.map(({ material }) => material))
    }
  }

  /** For sources that keep a block until they are told: it is durable, or not wanted. */
  async #acknowledge(
    blocks: readonly KeyBlock[],
    outcomes: readonly OfferOutcome[],
  ): Promise<void> {
    const refsOf = (...wanted: readonly OfferOutcome[]): readonly BlockRef[] =>
      blocks.flatMap(({ ref }, i) => (wanted.includes(outcomes[i] ?? 'refused') ? [ref] : []))
    const durable = refsOf('stored', 'duplicate')
    const unwanted = refsOf('refused', 'quarantined')
    try {
      if (durable.length > 0) await this.#driver.ack(durable)
      if (unwanted.length > 0) await this.#driver.discard(unwanted, 'not wanted by the link')
    } catch (error) {
      this.#event('warn', 'device.ack.failed', messageOf(error))
    }
  }

  async #store(
    epoch: Epoch,
    blocks: readonly KeyBlock[],
    checkpoint: Buffer | null,
  ): Promise<readonly OfferOutcome[]> {
    if (this.#stopped) throw new KmeError('DRIVER_FAILED', this.#stopped)
    const intake = blocks.map((block) => ({
      ref: checkedRef(this.settings.deviceId, block),
      material: block.material,
      finding: this.#health.test(block),
    }))
    const received = await this.#parts.store.receiveBlocks(
      this.#writeIn(epoch),
      { deviceId: this.settings.deviceId, end: this.settings.role, blocks: intake, checkpoint },
      this.#parts.now(),
    )
    this.#report(intake, received)
    if (this.#health.mustStop) this.#stopForHealth()
    this.#links.stored(received.appended)
    return received.outcomes
  }

  #report(
    intake: readonly { readonly ref: BlockRef; readonly finding: string | null }[],
    received: ReceivedBlocks,
  ): void {
    for (const { ref, finding } of intake) {
      if (finding === null) continue
      const message = `block ${ref.streamId}/${ref.vendorId} is quarantined: ${finding}`
      this.#alarm('biased-input', 'major', message)
    }
    for (const ref of received.conflicting) {
      const message = `block ${ref.streamId}/${ref.vendorId} came again with other bytes`
      this.#alarm('ref-reused', 'major', message)
    }
  }

  /** Only this device: the link goes on with its others. */
  #stopForHealth(): void {
    if (this.#stopped) return
    this.#stopped =
      'stopped: too many of its blocks fail the health tests; see the log, then restart'
    this.#flowingSinceMs = null
    this.#alarm('device-stopped', 'major', this.#stopped)
    this.#driver.close({ drainMs: 0 }).catch((error: unknown) => {
      this.#event('warn', 'device.close.failed', messageOf(error))
    })
  }

  async #fetchAwaited(): Promise<number | null> {
    const { store, settings } = this.#parts
    if (!this.#driver.fetch || !this.#opened || this.#stopped || this.#demandBytes <= 0) {
      return ASK_AGAIN_MS
    }
    const { deviceId } = this.settings
    const awaited = await store.listAwaited(settings.linkId, deviceId, MOST_FETCHED_AT_ONCE)
    if (awaited.length === 0) return ASK_AGAIN_MS
    const refs = awaited.map(({ ref }) => ref)
    const outcomes = await this.#driver.fetch(refs)
    const gone = refs.filter((_, i) => outcomes[i] === 'gone')
    if (gone.length > 0) await store.markGone(this.#state.ownWrite(), gone)
    return outcomes.every((outcome) => outcome === 'retry') ? ASK_AGAIN_MS : 0
  }

  /** Keeps since when blocks could come: what is paused or down may still hold some. */
  #noteFlow(): void {
    const flows = this.#opened && this.#demandBytes > 0 && isDelivering(this.#driver.status().state)
    if (!flows) this.#flowingSinceMs = null
    else this.#flowingSinceMs ??= this.#parts.now().runningMs
  }

  #alarm(name: AlarmName, severity: 'major' | 'minor', message: string): void {
    const { settings, observer } = this.#parts
    const { deviceId } = this.settings
    observer.alarm({
      name,
      severity,
      linkId: settings.linkId,
      deviceId,
      message: `link ${settings.linkId}, device ${deviceId}: ${message}`,
    })
  }

  #clearAlarm(name: AlarmName): void {
    const { settings, observer } = this.#parts
    observer.clear(name, { linkId: settings.linkId, deviceId: this.settings.deviceId })
  }

  #event(level: 'info' | 'warn', name: string, message: string): void {
    const { settings, observer } = this.#parts
    const { deviceId } = this.settings
    observer.event({
      level,
      name,
      message: `link ${settings.linkId}, device ${deviceId}: ${message}`,
    })
  }
}

const isDelivering = (state: DriverStatus['state']): boolean =>
  state === 'running' || state === 'degraded'
