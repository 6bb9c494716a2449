import type { Hello, Peer, PeerAnswer, PeerHandler, PeerMessage, Stamp } from '../ports/peer.ts'
import { LaneAging } from './lane-aging.ts'
import { LinkState } from './link-state.ts'
import { KmeError } from '../errors.ts'
import { BatchEffects } from './batch-effects.ts'
import { BatchJudge } from './batch-judge.ts'
import { Confirmations } from './confirmations.ts'
import type { ControlValue, DriverMessageBody } from '../ports/qkd-driver.ts'
import { DeliveryQuestion } from './delivery-question.ts'
import { DeliveryIds } from './delivery-ids.ts'
import type { Destination } from '../ports/destination.ts'
import type { Device } from './device.ts'
import type { DeviceId, KmeId, LinkId, SaeId } from '../model/ids.ts'
import { Devices } from './devices.ts'
import { Grants } from './grants.ts'
import { Greeter } from './greeter.ts'
import { Inbox } from './inbox.ts'
import type { Link } from './link.ts'
import { LinkDestination } from './link-destination.ts'
import type { LinkParts } from './link-parts.ts'
import type { LinkSnapshot } from '../ports/lane-store.ts'
import { Messenger } from './messenger.ts'
import { otherEnd } from '../model/lane.ts'
import { OwnLanes } from './own-lanes.ts'
import { PeerSaes } from './peer-saes.ts'
import { SessionWork } from './session-work.ts'
import type { RegisteredSae } from '../model/delivery.ts'

/** A link to another KME: its parts, and the loops that drive them while there is a session. */
export class PeerLink implements Link, PeerHandler {
  readonly linkId: LinkId
  readonly peerKmeId: KmeId
  readonly destination: Destination
  readonly #parts: LinkParts
  readonly #state: LinkState
  readonly #peer: Peer
  readonly #messenger: Messenger
  readonly #greeter: Greeter
  readonly #devices: Devices
  readonly #inbox: Inbox
  readonly #saes: PeerSaes
  readonly #work: SessionWork
  #running = false

  /** Reads what the store knows of the link; nothing runs before `start`. */
  static async open(
    parts: LinkParts,
    peer: Peer,
    saesChanged: (link: Link) => void,
  ): Promise<PeerLink> {
    const { linkId, kmeId, peerKmeId } = parts.settings
    const snapshot = await parts.store.openLink({ linkId, kmeId, peerKmeId })
    const saes = new PeerSaes(parts)
    await saes.refresh()
    return new PeerLink(parts, peer, new LinkState(snapshot), saes, saesChanged)
  }

  private constructor(
    parts: LinkParts,
    peer: Peer,
    state: LinkState,
    saes: PeerSaes,
    saesChanged: (link: Link) => void,
  ) {
    this.linkId = parts.settings.linkId
    this.peerKmeId = parts.settings.peerKmeId
    this.#parts = parts
    this.#state = state
    this.#peer = peer
    this.#saes = saes
    const lanes = new OwnLanes([state.end], parts.settings.maxAgeMs, otherEnd(state.end))
    const greeter = new Greeter(parts, state, peer, () => lanes.reset(parts.store, this.linkId))
    this.#greeter = greeter
    this.#messenger = new Messenger(state, peer, greeter)
    const effects = new BatchEffects(parts, state, lanes)
    const confirmations = new Confirmations(parts, state, this.#messenger)
    const devices = this.#makeDevices()
    this.#devices = devices
    const owes = this.#owes
    const grants = new Grants({ parts, state, lanes, greeter, owes })
    const messenger = this.#messenger
    const aging = new LaneAging({ parts, state, lanes, greeter })
    const work = { parts, state, messenger, effects, confirmations, devices, grants, aging }
    this.#work = new SessionWork(work)
    const judge = new BatchJudge(parts, effects)
    this.#inbox = new Inbox({
      ...{ parts, state, lanes, greeter, grants, judge, devices },
      matched: () => {
        this.#work.matched()
      },
      saesChanged: async () => {
        await saes.refresh()
        saesChanged(this)
      },
    })
    this.destination = new LinkDestination({
      ...{ parts, state, lanes, confirmations, greeter, devices },
      ids: new DeliveryIds(parts.random),
      question: new DeliveryQuestion(parts, state, messenger),
      owes,
    })
    this.#follow()
  }

  #follow(): void {
    this.#state.onChange(() => {
      this.#kick()
    })
    this.#peer.onLost(() => {
      // Without a session it was a try that failed: its own reason stands, and its pause counts.
      if (!this.#state.session) return
      this.#greeter.loseSession('the connection to the peer KME was lost')
    })
  }

  start(): void {
    this.#running = true
    this.#greeter.start()
    this.#work.start()
    this.#devices.start()
  }

  async stop(): Promise<void> {
    this.#running = false
    await this.#devices.stop()
    const ended = Promise.all([this.#work.stop(), this.#greeter.stop()])
    // What waits for a peer that does not answer waits no longer.
    await this.#peer.close()
    await ended
    this.#state.endSession('stopped')
  }

  hello(question: Hello): Promise<Hello> {
    return this.#greeter.answer(question)
  }

  receive(stamp: Stamp, messages: readonly PeerMessage[]): Promise<readonly PeerAnswer[]> {
    this.#work.peerSpoke()
    return this.#inbox.receive(stamp, messages)
  }

  get snapshot(): LinkSnapshot {
    return this.#state.snapshot
  }

  get waitingFor(): string {
    const { session, reason, introducedVersion } = this.#state
    if (!session) return reason
    return introducedVersion === null ? 'the peer KME has not taken our list of SAEs yet' : ''
  }

  get silent(): boolean {
    return this.#state.silent
  }

  get devices(): readonly Device[] {
    return this.#devices.all
  }

  peerSae(saeId: SaeId): RegisteredSae | null | undefined {
    return this.#saes.find(saeId)
  }

  control(deviceId: DeviceId, name: string, value: ControlValue): Promise<void> {
    return this.#devices.control(deviceId, name, value)
  }

  readonly #owes = (): void => {
    this.#work.owes()
  }

  #kick(): void {
    // The end of the session at the stop must not open the devices anew.
    if (!this.#running) return
    this.#devices.start()
    this.#work.kick()
  }

  #makeDevices(): Devices {
    return new Devices(this.#parts, this.#state, {
      sendToOtherEnd: (deviceId, type, body) => this.#sendToOtherEnd(deviceId, type, body),
      stored: () => {
        this.#kick()
      },
    })
  }

  async #sendToOtherEnd(deviceId: DeviceId, type: string, body: DriverMessageBody): Promise<void> {
    const { session } = this.#state
    if (!session) throw new KmeError('PEER_UNAVAILABLE', 'the link is not agreed with the peer')
    const answer = await this.#messenger.ask(session, { kind: 'driver', deviceId, type, body })
    if (answer.result !== 'done') {
      throw new KmeError('PEER_UNAVAILABLE', `the other end's driver answers ${answer.result}`)
    }
  }
}
