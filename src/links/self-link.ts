import type { LaneStretch, LinkSnapshot } from '../ports/lane-store.ts'
import { Backoff } from '../support/backoff.ts'
import type { ControlValue } from '../ports/qkd-driver.ts'
import { DeliveryIds } from './delivery-ids.ts'
import type { Destination } from '../ports/destination.ts'
import type { Device } from './device.ts'
import type { DeviceId, KmeId, LinkId } from '../model/ids.ts'
import { Devices } from './devices.ts'
import { isKmeError, messageOf } from '../errors.ts'
import { LANE_NAMES } from '../model/lane.ts'
import { LaneAging } from './lane-aging.ts'
import type { Link } from './link.ts'
import type { LinkParts } from './link-parts.ts'
import { LinkState } from './link-state.ts'
import { Loop } from '../support/loop.ts'
import { OwnLanes } from './own-lanes.ts'
import { SelfDestination } from './self-destination.ts'

const AGE_AGAIN_MS = 500

/**
 * A link of this KME with itself, for SAEs that are both registered here. It owns both lanes and is
 * its own peer without a network: blocks are compared directly and nothing is sacrificed.
 */
export class SelfLink implements Link {
  readonly linkId: LinkId
  readonly peerKmeId: KmeId
  readonly destination: Destination
  readonly silent = false
  readonly #parts: LinkParts
  readonly #state: LinkState
  readonly #lanes: OwnLanes
  readonly #aging: Loop
  readonly #devices: Devices
  readonly #starter: Loop
  readonly #backoff: Backoff
  #ignoreRestores: () => void = () => undefined

  static async open(parts: LinkParts): Promise<SelfLink> {
    const { linkId, kmeId } = parts.settings
    const snapshot = await parts.store.openLink({ linkId, kmeId, peerKmeId: kmeId })
    return new SelfLink(parts, new LinkState(snapshot))
  }

  private constructor(parts: LinkParts, state: LinkState) {
    this.linkId = parts.settings.linkId
    this.peerKmeId = parts.settings.kmeId
    this.#parts = parts
    this.#state = state
    this.#lanes = new OwnLanes(LANE_NAMES, parts.settings.maxAgeMs)
    this.#backoff = new Backoff({ random: parts.random, firstMs: 100, mostMs: 5_000 })
    this.#devices = new Devices(parts, state, {
      sendToOtherEnd: (deviceId, type, body) =>
        this.#devices.receiveFromOtherEnd(deviceId, type, body),
      stored: (appended) => {
        void this.#extend(appended)
      },
    })
    this.destination = new SelfDestination({
      parts,
      state,
      lanes: this.#lanes,
      ids: new DeliveryIds(parts.random),
      devices: this.#devices,
      endLife: this.#endLife,
    })
    const aging = new LaneAging({
      parts,
      state,
      lanes: this.#lanes,
      greeter: { endLife: this.#endLife },
    })
    this.#aging = new Loop({
      clock: parts.clock,
      pass: async () => (state.session ? aging.pass(state.session) : null),
      failed: (error) => this.#agingFailed(error),
    })
    this.#starter = new Loop({
      clock: parts.clock,
      pass: () => this.#beginLife(),
      failed: (error) => this.#failed(error),
    })
  }

  start(): void {
    this.#ignoreRestores = this.#parts.store.onRestored(() => {
      this.#state.endSession('the store of this KME was restored')
      this.#starter.kick()
    })
    this.#starter.start()
    this.#aging.start()
  }

  async stop(): Promise<void> {
    this.#ignoreRestores()
    await this.#starter.stop()
    await this.#aging.stop()
    await this.#devices.stop()
    this.#state.endSession('stopped')
  }

  get snapshot(): LinkSnapshot {
    return this.#state.snapshot
  }

  get waitingFor(): string {
    return this.#state.reason
  }

  get devices(): readonly Device[] {
    return this.#devices.all
  }

  /** There is no peer: all of its SAEs are ours. */
  peerSae(): null {
    return null
  }

  control(deviceId: DeviceId, name: string, value: ControlValue): Promise<void> {
    return this.#devices.control(deviceId, name, value)
  }

  async #beginLife(): Promise<null> {
    if (this.#state.session) return null
    const { store, random, now } = this.#parts
    let snapshot = await store.beginLife(this.linkId)
    if (!snapshot.epoch || snapshot.restored) {
      snapshot = await this.#beginEpoch(snapshot, random.bytes(16))
    }
    const { epoch, life } = snapshot
    if (!epoch) throw new TypeError('an epoch was begun')
    const write = { linkId: this.linkId, life, epoch }
    this.#state.learn(
      await store.applyHello(write, { peer: ofItself(snapshot), adopt: {}, closedBatch: null }),
    )
    await this.#lanes.reset(store, this.linkId)
    this.#state.beginSession({ life, epoch, peerLife: life, sinceMs: now().runningMs })
    this.#backoff.reset()
    this.#devices.start()
    this.#aging.kick()
    return null
  }

  #beginEpoch(snapshot: LinkSnapshot, id: Buffer): Promise<LinkSnapshot> {
    const { life, epoch, restored } = snapshot
    const write = { linkId: this.linkId, life, epoch }
    const next = { counter: (epoch?.counter ?? 0) + 1, id: id.toString('hex') }
    if (restored) this.#alarmRestored(next.counter)
    const afterRestoreOf = restored ? 'both' : null
    return this.#parts.store.beginEpoch(write, next, ofItself(snapshot), afterRestoreOf)
  }

  /** Stands until the next start: operators must see it though the link goes on. */
  #alarmRestored(counter: number): void {
    this.#parts.observer.alarm({
      name: 'self-restored',
      severity: 'major',
      linkId: this.linkId,
      message: `link ${this.linkId}: the store of this KME was restored or replaced: epoch ${String(counter)} begins with new key; what was stored before is dropped`,
    })
  }

  async #extend(appended: readonly LaneStretch[]): Promise<void> {
    if (appended.length === 0) return
    try {
      const snapshot = await this.#parts.store.readLink(this.linkId)
      this.#state.learn(snapshot)
      this.#lanes.extend(snapshot, appended)
    } catch (error) {
      if (isKmeError(error, 'STORE_CORRUPT')) this.#parts.fatal(error)
      // The pool is counted anew from what the store holds.
      this.#state.endSession('the key store of this KME does not answer')
      this.#starter.kick()
    }
  }

  readonly #endLife = (): void => {
    this.#state.endSession('a commit of this KME failed')
    this.#starter.kick()
  }

  /** The life has ended, or ends: the next one begins with another look. */
  #agingFailed(error: unknown): number {
    if (isKmeError(error, 'STORE_CORRUPT')) this.#parts.fatal(error)
    return AGE_AGAIN_MS
  }

  #failed(error: unknown): number {
    if (isKmeError(error, 'STORE_CORRUPT')) this.#parts.fatal(error)
    this.#state.endSession(messageOf(error))
    return this.#backoff.next()
  }
}

const ofItself = ({ generation, life, commitCounter }: LinkSnapshot) => ({
  generation,
  life,
  commitCounter,
})
