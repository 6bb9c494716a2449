import type { ConfirmMessage, PeerAnswer } from '../ports/peer.ts'
import type { LinkState, Session } from './link-state.ts'
import type { DeliveryId } from '../model/key-id.ts'
import type { LinkParts } from './link-parts.ts'
import type { Messenger } from './messenger.ts'
import { isKmeError, messageOf } from '../errors.ts'
import { withDeadline } from '../support/deadline.ts'

/** `unknown`: the peer may or may not have it; it is confirmed until answered. */
export type Confirmation = 'done' | 'refused' | 'unknown'

const MOST_PER_MESSAGE = 128
const MOST_UNDER_WAY = 2
const AGAIN_MS = 50

interface Waiting {
  readonly session: Session
  readonly message: ConfirmMessage
  readonly settle: (confirmation: Confirmation) => void
  /** The deadline has passed: its caller has gone. */
  late: boolean
}

/**
 * Tells the peer of deliveries that are durable here, while their callers wait. What waits at the
 * same time travels in one message. What is not answered in time is left to the courier.
 */
export class Confirmations {
  readonly #parts: LinkParts
  readonly #state: LinkState
  readonly #messenger: Messenger
  /** Deliveries that are being told or whose acknowledgement is being stored: the courier leaves them. */
  readonly #underWay = new Set<string>()
  #queue: Waiting[] = []
  #sending = 0

  constructor(parts: LinkParts, state: LinkState, messenger: Messenger) {
    this.#parts = parts
    this.#state = state
    this.#messenger = messenger
  }

  isUnderWay(deliveryId: DeliveryId): boolean {
    return this.#underWay.has(deliveryId.toString('hex'))
  }

  /** Claims a delivery before its commit, so that nobody else tells the peer of it meanwhile. */
  claim(deliveryId: DeliveryId): void {
    this.#underWay.add(deliveryId.toString('hex'))
  }

  release(deliveryId: DeliveryId): void {
    this.#underWay.delete(deliveryId.toString('hex'))
  }

  /** Resolves at the deadline at the latest; never throws. The delivery was claimed and is durable. */
  async confirm(session: Session, message: ConfirmMessage): Promise<Confirmation> {
    const { promise: answer, resolve: settle } = Promise.withResolvers<Confirmation>()
    const waiting: Waiting = { session, message, settle, late: false }
    this.#queue.push(waiting)
    this.#send()
    const { clock, settings } = this.#parts
    const confirmation = await withDeadline(
      clock,
      settings.confirmDeadlineMs,
      answer,
      'late' as const,
    )
    if (confirmation !== 'late') return confirmation
    waiting.late = true
    this.#state.missedDeadline()
    return 'unknown'
  }

  #send(): void {
    while (this.#sending < MOST_UNDER_WAY && this.#queue.length > 0) {
      const session = this.#queue[0]?.session
      const waiting = this.#queue.filter((w) => w.session === session).slice(0, MOST_PER_MESSAGE)
      this.#queue = this.#queue.filter((w) => !waiting.includes(w))
      this.#sending += 1
      void this.#tell(waiting).finally(() => {
        this.#sending -= 1
        this.#send()
      })
    }
  }

  async #tell(waiting: readonly Waiting[]): Promise<void> {
    const session = waiting[0]?.session
    if (!session) return
    let answers: readonly PeerAnswer[] = []
    try {
      answers = await this.#messenger.send(
        session,
        waiting.map(({ message }) => message),
      )
    } catch (error) {
      if (isKmeError(error, 'PEER_UNAVAILABLE')) this.#state.missedDeadline()
    }
    const again = waiting.filter((one, i) => !one.late && answers[i]?.result === 'retry')
    if (again.length > 0) this.#tellAgain(again)
    const answered = waiting.flatMap((one, i) =>
      again.includes(one) ? [] : { one, answer: answers[i] },
    )
    // Before the callers go on: who refuses a caller that has gone is asked again by the courier.
    const released = answered.filter(({ one, answer }) => answer?.result !== 'refused' || one.late)
    for (const { one, answer } of answered) one.settle(confirmationOf(answer))
    await this.#keep(
      session,
      answered.flatMap(({ one, answer }) => (answer?.result === 'done' ? [one.message] : [])),
    )
    for (const { one } of released) this.release(one.message.deliveryId)
  }

  /** The peer cannot take them yet, for example because its own hello is not done: until the deadline. */
  #tellAgain(waiting: readonly Waiting[]): void {
    this.#parts.clock.after(AGAIN_MS, () => {
      this.#queue.push(...waiting)
      this.#send()
    })
  }

  /** Stores the acknowledgements; those that cannot be stored are asked for again by the courier. */
  async #keep(session: Session, done: readonly ConfirmMessage[]): Promise<void> {
    if (done.length === 0) return
    try {
      await this.#parts.store.markConfirmed(
        this.#state.ownWriteOf(session),
        done.map(({ deliveryId }) => deliveryId),
      )
    } catch (error) {
      this.#parts.observer.event({
        level: 'debug',
        name: 'link.confirm.again',
        message: `link ${this.#parts.settings.linkId}: an acknowledgement was not stored; it will be asked for again`,
        fields: { cause: messageOf(error) },
      })
    }
  }
}

const confirmationOf = (answer: PeerAnswer | undefined): Confirmation => {
  if (answer?.result === 'done') return 'done'
  return answer?.result === 'refused' ? 'refused' : 'unknown'
}
