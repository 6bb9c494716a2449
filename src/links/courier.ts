import type { PeerAnswer, PeerMessage } from '../ports/peer.ts'
import type { LinkState, Session } from './link-state.ts'
import type { Confirmations } from './confirmations.ts'
import type { Devices } from './devices.ts'
import type { Grants } from './grants.ts'
import type { LinkParts } from './link-parts.ts'
import type { Messenger } from './messenger.ts'
import type { LinkSnapshot, OwnWrite } from '../ports/lane-store.ts'
import { KmeError } from '../errors.ts'
import { addRanges } from '../model/range.ts'
import { alarmLengths } from './batch-effects.ts'
import { withDeadline } from '../support/deadline.ts'

const MOST_CONFIRMS = 128
const MOST_DROPS = 128
const MOST_BLOCKS = 512
const HEARTBEAT_MS = 2_000
const RETRY_MS = 500
/** A silent peer is asked again after so long: what was lost on the way is not waited for. */
const PROBE_MS = 2_000

/** A message that is owed, and what to do with its answer. */
interface Owed {
  readonly message: PeerMessage
  readonly answered: (answer: PeerAnswer, write: OwnWrite) => Promise<void>
}

export interface CourierParts {
  readonly parts: LinkParts
  readonly state: LinkState
  readonly messenger: Messenger
  readonly confirmations: Confirmations
  readonly devices: Devices
  readonly grants: Grants
}

/**
 * Brings to the peer what must reach it. There is no queue: what is owed follows from the store
 * each time (a delivery not yet acknowledged, a block not yet announced, ...) and is sent until it
 * is answered. With nothing owed, a heartbeat keeps the connection and shows that the peer is there.
 */
export class Courier {
  readonly #with: CourierParts
  #putOff = false

  constructor(parts: CourierParts) {
    this.#with = parts
  }

  /** The peer answered *retry*: worth another try as soon as it speaks by itself. */
  get isPutOff(): boolean {
    return this.#putOff
  }

  /** Returns in how many milliseconds to look again; 0 while there is more. */
  async pass(session: Session): Promise<number> {
    const isProbe = this.#with.state.silent
    const owed = await this.#owed(session)
    const answers = await this.#send(session, owed, isProbe)
    if (answers === null) return RETRY_MS
    const write = this.#with.state.ownWriteOf(session)
    await Promise.all(
      owed.map(async ({ message, answered }, i) => {
        const answer = answers[i]
        if (!answer || answer.result === 'retry') return
        if (!isAnswerTo(message, answer)) throw unexpected(message, answer)
        await answered(answer, write)
      }),
    )
    this.#putOff = answers.some(({ result }) => result === 'retry')
    if (this.#putOff) return RETRY_MS
    return owed.length > 0 ? 0 : HEARTBEAT_MS
  }

  /** Null where a silent peer is still silent: an answer that comes later shows all the same that it is there. */
  async #send(
    session: Session,
    owed: readonly Owed[],
    isProbe: boolean,
  ): Promise<readonly PeerAnswer[] | null> {
    const { messenger, parts } = this.#with
    const messages = owed.map(({ message }) => message)
    const answers = messenger.send(session, messages)
    return isProbe ? withDeadline(parts.clock, PROBE_MS, answers, null) : answers
  }

  async #owed(session: Session): Promise<readonly Owed[]> {
    const { state, parts } = this.#with
    // What is said names the commit counter: it must not lag behind.
    const snapshot = await parts.store.readLink(parts.settings.linkId)
    state.learn(snapshot)
    // Of a silent peer one small thing is asked: what is more would be sent in vain, again and again.
    if (state.silent) return this.#saeList(session)
    const owed = await Promise.all([
      this.#confirms(),
      this.#drops(),
      this.#announcements(),
      this.#questions(session),
      this.#with.grants.owed(),
    ])
    return [...this.#saeList(session), ...this.#closed(snapshot), ...owed.flat()]
  }

  #saeList(session: Session): readonly Owed[] {
    const { state, parts } = this.#with
    const { version, saes } = parts.ownSaes()
    // Of a silent peer it is asked again: a heartbeat does not tell whether it can take anything.
    if (state.introducedVersion === version && !state.silent) return []
    return [
      {
        message: { kind: 'sae-list', version, saes },
        answered: async () => {
          state.introduced(session, version)
        },
      },
    ]
  }

  async #confirms(): Promise<readonly Owed[]> {
    const { parts, confirmations } = this.#with
    const { linkId } = parts.settings
    const unconfirmed = await parts.store.listUnconfirmed(linkId, MOST_CONFIRMS)
    return unconfirmed
      .filter(({ deliveryId }) => !confirmations.isUnderWay(deliveryId))
      .map((message) => ({
        message,
        answered: async (answer, write) => {
          if (answer.result === 'done') {
            await parts.store.markConfirmed(write, [message.deliveryId])
          } else if (answer.result === 'refused') {
            // Its call has ended: slaves here may hold their part, only the peer's is over.
            await parts.store.refuseDelivery(write, message.deliveryId, false, parts.now())
            this.#alarmRefused(answer.reason)
          }
        },
      }))
  }

  #alarmRefused(reason: string): void {
    const { settings, observer } = this.#with.parts
    observer.alarm({
      name: 'confirm-refused',
      severity: 'minor',
      linkId: settings.linkId,
      message: `link ${settings.linkId}: KME ${settings.peerKmeId} refused a delivery: ${reason}`,
    })
  }

  async #drops(): Promise<readonly Owed[]> {
    const { store, settings } = this.#with.parts
    const pending = await store.listPendingDrops(settings.linkId, MOST_DROPS)
    const lanes = [...new Set(pending.map(({ lane }) => lane))]
    return lanes.map((lane) => {
      const drops = pending.filter((drop) => drop.lane === lane)
      // One set: neighbours are joined, for the wire takes no ranges that touch.
      const ranges = addRanges(
        [],
        drops.map(({ range }) => range),
      )
      return {
        message: { kind: 'drop', lane, ranges },
        answered: async (_, write) => store.markDropped(write, drops),
      }
    })
  }

  #closed({ end, lastBatch, closedTold }: LinkSnapshot): readonly Owed[] {
    if (end !== 'verifier' || lastBatch === 0 || closedTold) return []
    return [
      {
        message: { kind: 'closed', batch: lastBatch },
        answered: async (_, write) => this.#with.parts.store.markClosedTold(write, lastBatch),
      },
    ]
  }

  async #announcements(): Promise<readonly Owed[]> {
    const { store, settings } = this.#with.parts
    const blocks = await store.listUnannounced(settings.linkId, MOST_BLOCKS)
    if (blocks.length === 0) return []
    return [
      {
        message: { kind: 'announce', blocks },
        answered: async (answer, write) => {
          if (answer.result !== 'announced') return
          const refs = blocks.map(({ ref }) => ref)
          await store.markAnnounced(write, refs, answer.conflicting)
          alarmLengths(this.#with.parts, answer.conflicting)
        },
      },
    ]
  }

  async #questions(session: Session): Promise<readonly Owed[]> {
    const blocks = await this.#with.devices.overdueBlocks(session)
    if (blocks.length === 0) return []
    return [
      {
        message: { kind: 'question', blocks },
        answered: (answer, write) => this.#with.devices.whereaboutsCame(blocks, answer, write),
      },
    ]
  }
}

/** Which answers settle a message; whatever else comes would be asked for again and again. */
const ANSWERS: Readonly<Record<PeerMessage['kind'], readonly PeerAnswer['result'][]>> = {
  confirm: ['done', 'refused'],
  drop: ['done', 'refused'],
  grant: ['done', 'refused'],
  want: ['done'],
  deliveries: ['deliveries'],
  announce: ['announced'],
  question: ['whereabouts'],
  'sae-list': ['done'],
  closed: ['done'],
  proposal: ['done'],
  driver: ['done'],
}

const isAnswerTo = ({ kind }: PeerMessage, { result }: PeerAnswer): boolean =>
  ANSWERS[kind].includes(result)

const unexpected = ({ kind }: PeerMessage, { result }: PeerAnswer): KmeError =>
  new KmeError('PROTOCOL', `the peer KME answers ${result} to ${kind}`)
