import { DONE, RETRY, answerOf } from './answers.ts'
import type {
  AnnounceMessage,
  ClosedMessage,
  ConfirmMessage,
  DeliveriesMessage,
  DriverMessage,
  DropMessage,
  PeerAnswer,
  PeerMessage,
  ProposalMessage,
  QuestionMessage,
  SaeListMessage,
  Stamp,
} from '../ports/peer.ts'
import { isKmeError, messageOf } from '../errors.ts'
import { alarmLengths } from './batch-effects.ts'
import type { BatchJudge } from './batch-judge.ts'
import type { Devices } from './devices.ts'
import type { Grants } from './grants.ts'
import type { Greeter } from './greeter.ts'
import type { LinkParts } from './link-parts.ts'
import { isOf, type LinkState } from './link-state.ts'
import type { OwnLanes } from './own-lanes.ts'

export interface InboxParts {
  readonly parts: LinkParts
  readonly state: LinkState
  readonly lanes: OwnLanes
  readonly greeter: Greeter
  readonly grants: Grants
  readonly judge: BatchJudge
  readonly devices: Devices
  /** Blocks of ours were matched: the verifier may have a batch to compose. */
  readonly matched: () => void
  /** The list of the peer's SAEs may have changed. */
  readonly saesChanged: () => Promise<void>
}

type HandledKind = Exclude<PeerMessage['kind'], 'confirm'>
type Messages = { readonly [K in HandledKind]: Extract<PeerMessage, { readonly kind: K }> }
type MessageOf<K extends HandledKind> = Messages[K] & { readonly kind: K }
type Handler<K extends HandledKind> = (stamp: Stamp, message: MessageOf<K>) => Promise<PeerAnswer>
type Handlers = { readonly [K in HandledKind]: Handler<K> }

/** Applies what the peer says. Each message is answered by itself, durable first. */
export class Inbox {
  readonly #with: InboxParts

  constructor(parts: InboxParts) {
    this.#with = parts
  }

  async receive(stamp: Stamp, messages: readonly PeerMessage[]): Promise<readonly PeerAnswer[]> {
    const { state, greeter } = this.#with
    if (!state.session) {
      // Before our own hello nothing is applied; the peer is there, so ask it now.
      greeter.nudge()
      return messages.map(() => RETRY)
    }
    // The rest goes to the store first: a list of SAEs may name the masters of the confirms.
    const others = Promise.all(messages.map((message) => this.#answered(stamp, message)))
    const confirmed = await this.#confirms(stamp, messages)
    return (await others).map((answer, i) => answer ?? confirmed.get(i) ?? RETRY)
  }

  /** All confirms of a message are one operation of the store. */
  async #confirms(
    stamp: Stamp,
    messages: readonly PeerMessage[],
  ): Promise<ReadonlyMap<number, PeerAnswer>> {
    const { store, settings, now } = this.#with.parts
    const indices = messages.flatMap((message, i) => (message.kind === 'confirm' ? [i] : []))
    const confirms = messages.filter((message) => message.kind === 'confirm')
    if (confirms.length === 0) return new Map()
    const applied = await this.#guarded(() =>
      store.applyConfirms(settings.linkId, stamp, confirms, now()),
    )
    return new Map(
      indices.map((index, k) => [
        index,
        applied === null
          ? RETRY
          : answerOf(applied, (outcomes) => this.#confirmAnswer(confirms[k], outcomes[k])),
      ]),
    )
  }

  #confirmAnswer(
    confirm: ConfirmMessage | undefined,
    outcome: { outcome: string; reason?: string; conflict?: boolean } | undefined,
  ): PeerAnswer {
    if (outcome?.outcome === 'done') return DONE
    if (!outcome || !confirm) return RETRY
    const { settings, observer } = this.#with.parts
    if (outcome.conflict) {
      observer.alarm({
        name: 'range-conflict',
        severity: 'major',
        linkId: settings.linkId,
        message: `link ${settings.linkId}: KME ${settings.peerKmeId} names a range that another delivery holds; refused`,
      })
    }
    return { result: 'refused', reason: outcome.reason ?? '' }
  }

  async #answered(stamp: Stamp, message: PeerMessage): Promise<PeerAnswer | null> {
    if (message.kind === 'confirm') return null
    return (await this.#guarded(() => this.#apply(stamp, message))) ?? RETRY
  }

  /** What is done with each kind of message. */
  readonly #handlers: Handlers = {
    announce: (stamp, message) => this.#announce(stamp, message),
    question: (stamp, message) => this.#question(stamp, message),
    proposal: (stamp, message) => this.#proposal(stamp, message),
    closed: (stamp, message) => this.#closed(stamp, message),
    drop: (stamp, message) => this.#drop(stamp, message),
    grant: (stamp, message) => this.#with.grants.receive(stamp, message),
    want: (stamp, message) => this.#with.grants.receive(stamp, message),
    deliveries: (stamp, message) => this.#deliveries(stamp, message),
    'sae-list': (stamp, message) => this.#saeList(stamp, message),
    driver: (stamp, message) => this.#driver(stamp, message),
  }

  #apply<K extends HandledKind>(stamp: Stamp, message: MessageOf<K>): Promise<PeerAnswer> {
    const handle: Handler<K> = this.#handlers[message.kind]
    return handle(stamp, message)
  }

  async #proposal(stamp: Stamp, message: ProposalMessage): Promise<PeerAnswer> {
    if (this.#with.state.end === 'follower') return this.#with.judge.receive(stamp, message)
    return { result: 'refused', reason: 'only the verifier proposes' }
  }

  async #announce(stamp: Stamp, { blocks }: AnnounceMessage): Promise<PeerAnswer> {
    const { parts, matched, devices } = this.#with
    const applied = await parts.store.applyAnnouncement(parts.settings.linkId, stamp, blocks)
    return answerOf(applied, (conflicting) => {
      alarmLengths(parts, conflicting)
      matched()
      devices.announced()
      return { result: 'announced', conflicting }
    })
  }

  async #question(stamp: Stamp, { blocks }: QuestionMessage): Promise<PeerAnswer> {
    const { parts, devices, matched } = this.#with
    const questions = devices.judgeQuestions(blocks)
    const applied = await parts.store.answerQuestion(parts.settings.linkId, stamp, questions)
    return answerOf(applied, (whereabouts) => {
      matched()
      return { result: 'whereabouts', blocks: whereabouts }
    })
  }

  async #closed(stamp: Stamp, { batch }: ClosedMessage): Promise<PeerAnswer> {
    const { parts, state, lanes } = this.#with
    if (state.end !== 'follower') return { result: 'refused', reason: 'only the verifier closes' }
    const applied = await parts.store.applyClosed(parts.settings.linkId, stamp, batch)
    return answerOf(applied, (snapshot) => {
      state.learn(snapshot)
      lanes.extend(snapshot, [])
      return DONE
    })
  }

  async #drop(stamp: Stamp, { lane, ranges }: DropMessage): Promise<PeerAnswer> {
    const { store, settings } = this.#with.parts
    const applied = await store.applyDrops(settings.linkId, stamp, lane, ranges)
    return answerOf(applied, (result) =>
      result === 'done'
        ? DONE
        : { result: 'refused', reason: 'not a range that you allocate from' },
    )
  }

  async #deliveries(stamp: Stamp, { deliveryIds, sae }: DeliveriesMessage): Promise<PeerAnswer> {
    const { store, settings } = this.#with.parts
    const found = await store.listConfirmsFor(settings.linkId, stamp, deliveryIds, sae)
    return answerOf(found, (confirms) => ({ result: 'deliveries', confirms }))
  }

  async #saeList(stamp: Stamp, { version, saes }: SaeListMessage): Promise<PeerAnswer> {
    const { parts, saesChanged } = this.#with
    const applied = await parts.store.applySaeList(parts.settings.linkId, stamp, { version, saes })
    if (applied.kind === 'applied') await saesChanged()
    return answerOf(applied, () => DONE)
  }

  /** Nothing of it reaches the store: its life is that of the session. */
  async #driver(stamp: Stamp, { deviceId, type, body }: DriverMessage): Promise<PeerAnswer> {
    const { session } = this.#with.state
    if (!session || !isOf(stamp, session)) return RETRY
    try {
      await this.#with.devices.receiveFromOtherEnd(deviceId, type, body)
      return DONE
    } catch (error) {
      if (isKmeError(error, 'BAD_REQUEST')) return { result: 'refused', reason: error.message }
      return RETRY
    }
  }

  /** Null where nothing was applied because the store could not: the peer sends again. */
  async #guarded<T>(work: () => Promise<T>): Promise<T | null> {
    try {
      return await work()
    } catch (error) {
      const { parts } = this.#with
      if (isKmeError(error, 'STORE_CORRUPT')) parts.fatal(error)
      parts.observer.event({
        level: 'warn',
        name: 'link.message.failed',
        message: `link ${parts.settings.linkId}: a message of KME ${parts.settings.peerKmeId} could not be applied: ${messageOf(error)}`,
      })
      return null
    }
  }
}
