import type { AnnouncedBlock, BlockWhereabouts, PeerAnswer } from '../ports/peer.ts'
import type { BlockQuestion, OwnWrite } from '../ports/lane-store.ts'
import type { ControlValue, DriverMessageBody } from '../ports/qkd-driver.ts'
import { Device } from './device.ts'
import type { DeviceLinks } from './device.ts'
import type { DeviceId } from '../model/ids.ts'
import { KmeError } from '../errors.ts'
import type { Ledger } from '../model/ledger.ts'
import type { LinkParts } from './link-parts.ts'
import type { LinkState, Session } from './link-state.ts'
import { Loop } from '../support/loop.ts'
import { ledgerDifference } from '../model/ledger.ts'

const MOST_QUESTIONS = 256
const LOOK_AT_POOL_MS = 500
/** So many settle times after its receipt a block that both ends announced should be in a batch. */
const SETTLE_TIMES_TO_A_BATCH = 3

/** The devices of a link: they feed one pool, and are told to pause when it is full. */
export class Devices {
  readonly #parts: LinkParts
  readonly #state: LinkState
  readonly #devices: readonly Device[]
  readonly #poolLoop: Loop
  #paused = false
  #askForgottenMs = 0

  constructor(parts: LinkParts, state: LinkState, links: DeviceLinks) {
    this.#parts = parts
    this.#state = state
    this.#devices = parts.settings.devices.map(
      (settings) =>
        new Device(parts, state, settings, {
          sendToOtherEnd: links.sendToOtherEnd,
          stored: (appended) => {
            links.stored(appended)
            this.#poolLoop.kick()
          },
        }),
    )
    this.#poolLoop = new Loop({
      clock: parts.clock,
      pass: () => this.#lookAtPool(),
      failed: () => LOOK_AT_POOL_MS,
    })
  }

  get all(): readonly Device[] {
    return this.#devices
  }

  /** Call again when the link may have got an epoch: drivers open when there is one. */
  start(): void {
    this.#poolLoop.start()
    for (const device of this.#devices) device.start()
  }

  async stop(): Promise<void> {
    await this.#poolLoop.stop()
    await Promise.all(this.#devices.map((device) => device.stop()))
  }

  async control(deviceId: DeviceId, name: string, value: ControlValue): Promise<void> {
    const devices = this.#devices.filter((device) => device.settings.deviceId === deviceId)
    if (devices.length === 0) throw new KmeError('BAD_REQUEST', `there is no device ${deviceId}`)
    for (const device of devices) await device.control(name, value)
  }

  async receiveFromOtherEnd(
    deviceId: DeviceId,
    type: string,
    body: DriverMessageBody,
  ): Promise<void> {
    const device = this.#find(deviceId)
    if (!device) throw new KmeError('BAD_REQUEST', `there is no device ${deviceId}`)
    await device.receiveFromOtherEnd(type, body)
  }

  /** What the peer asks for, with whether each may still come. */
  judgeQuestions(blocks: readonly AnnouncedBlock[]): readonly BlockQuestion[] {
    const nowMs = this.#parts.now().runningMs
    return blocks.map((block) => ({
      ...block,
      mayStillCome: this.#find(block.ref.deviceId)?.mayStillCome(nowMs) ?? false,
    }))
  }

  async overdueBlocks(session: Session): Promise<readonly AnnouncedBlock[]> {
    const perDevice = await Promise.all(
      this.#devices.map((device) => device.overdueBlocks(session.sinceMs, MOST_QUESTIONS)),
    )
    const forgotten = await this.#forgottenBlocks(session)
    return [...perDevice.flat(), ...forgotten].slice(0, MOST_QUESTIONS)
  }

  /**
   * Blocks that both ends announced and that the verifier never proposes: it may have quarantined
   * them since. Where it still has them, the answer changes nothing.
   */
  async #forgottenBlocks(session: Session): Promise<readonly AnnouncedBlock[]> {
    const { store, settings, now } = this.#parts
    const settleMs = Math.max(...settings.devices.map((device) => device.settleMs))
    const waitMs = settleMs * SETTLE_TIMES_TO_A_BATCH
    const nowMs = now().runningMs
    const isTime = nowMs - session.sinceMs >= waitMs && nowMs >= this.#askForgottenMs
    if (this.#state.end !== 'follower' || !isTime) return []
    this.#askForgottenMs = nowMs + waitMs
    const limit = { maxBytes: Number.MAX_SAFE_INTEGER, maxPieces: MOST_QUESTIONS }
    const { pieces, oldestReceivedMs } = await store.listMatched(settings.linkId, limit)
    if (oldestReceivedMs === null || nowMs - oldestReceivedMs < waitMs) return []
    return pieces.map(({ ref, offset, lengthBytes }) => ({
      ref,
      lengthBytes: offset + lengthBytes,
    }))
  }

  /** The peer said where our blocks are; what is gone there is dropped here and at the source. */
  async whereaboutsCame(
    blocks: readonly AnnouncedBlock[],
    answer: PeerAnswer,
    write: OwnWrite,
  ): Promise<void> {
    if (answer.result !== 'whereabouts' || answer.blocks.length !== blocks.length) {
      throw new KmeError('PROTOCOL', 'a question for blocks was not answered')
    }
    const answers = blocks.map(({ ref }, i) => ({
      ref,
      where: answer.blocks[i] ?? ('on-its-way' satisfies BlockWhereabouts),
    }))
    const dropped = await this.#parts.store.applyWhereabouts(write, answers)
    for (const device of this.#devices) {
      const own = dropped.filter((ref) => ref.deviceId === device.settings.deviceId)
      if (own.length > 0) await device.discard(own)
    }
  }

  announced(): void {
    for (const device of this.#devices) device.announced()
  }

  /** Kinds of key material on this link, for status. */
  provenance(): readonly string[] {
    return [...new Set(this.#devices.map((device) => device.status().provenance))]
  }

  /** Secret key rate of all devices together in bits per second; null where none tells. */
  secretKeyRateBps(): number | null {
    const rates = this.#devices
      .map((device) => device.status().secretKeyRateBps)
      .filter((rate) => rate !== null)
    return rates.length === 0 ? null : rates.reduce((sum, rate) => sum + rate, 0)
  }

  #find(deviceId: DeviceId): Device | undefined {
    return this.#devices.find((device) => device.settings.deviceId === deviceId)
  }

  /** Pauses at the high water mark and goes on at the low one. */
  async #lookAtPool(): Promise<number> {
    const { store, settings } = this.#parts
    const ledger = await store.readLedger(settings.linkId)
    this.#checkBalance(ledger)
    const { bytes } = ledger
    const heldBytes = bytes.unverified + bytes.ownLane + bytes.otherLane + bytes.granted
    const highBytes = settings.poolBytes * settings.highWaterFraction
    if (heldBytes >= highBytes) this.#paused = true
    else if (heldBytes <= settings.poolBytes * settings.lowWaterFraction) this.#paused = false
    const demandBytes = this.#paused ? 0 : Math.floor(highBytes - heldBytes)
    for (const device of this.#devices) device.setDemand(demandBytes)
    return LOOK_AT_POOL_MS
  }

  /** Promise P8, checked while the KME runs. */
  #checkBalance(ledger: Ledger): void {
    const difference = ledgerDifference(ledger)
    if (difference === 0) return
    const { settings, observer } = this.#parts
    observer.alarm({
      name: 'ledger-unbalanced',
      severity: 'major',
      linkId: settings.linkId,
      message: `link ${settings.linkId}: the states of the ledger differ by ${difference} bytes from what was received`,
    })
  }
}
