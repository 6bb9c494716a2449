import type { ConfirmMessage, PeerAnswer } from '../ports/peer.ts'
import type { LinkState, Session } from './link-state.ts'
import type { DeliveryId } from '../model/key-id.ts'
import type { LinkParts } from './link-parts.ts'
import type { Messenger } from './messenger.ts'
import { isKmeError } from '../errors.ts'
import { withDeadline } from '../support/deadline.ts'

/** `unknown`: the peer may or may not have it; it is confirmed until answered. */
export type Confirmation = 'done' | 'refused' | 'unknown'

const MOST_PER_MESSAGE = 128
const MOST_UNDER_WAY = 2

interface Waiting {
  readonly session: Session
  readonly message: ConfirmMessage
  readonly settle: (confirmation: Confirmation) => void
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
    const answer = new Promise<Confirmation>((settle) => {
      this.#queue.push({ session, message, settle })
      this.#send()
    })
    const { clock, settings } = this.#parts
    const confirmation = await withDeadline(
      clock,
      settings.confirmDeadlineMs,
      answer,
      'late' as const,
    )
    if (confirmation !== 'late') return confirmation
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
    waiting.forEach(({ settle }, i) => {
      settle(confirmationOf(answers[i]))
    })
    await this.#keep(session, waiting, answers)
  }

  /** Stores the acknowledgements; those that cannot be stored are asked for again by the courier. */
  async #keep(
    session: Session,
    waiting: readonly Waiting[],
    answers: readonly PeerAnswer[],
  ): Promise<void> {
    const done = waiting.filter((_, i) => answers[i]?.result === 'done')
    try {
      if (done.length > 0) {
        await this.#parts.store.markConfirmed(
          this.#state.ownWriteOf(session),
          done.map(({ message }) => message.deliveryId),
        )
      }
    } catch (error) {
      this.#parts.observer.event({
        level: 'debug',
        name: 'link.confirm.again',
        message: `link ${this.#parts.settings.linkId}: an acknowledgement was not stored; it will be asked for again`,
        fields: { cause: error instanceof Error ? error.message : '' },
      })
    } finally {
      waiting.forEach(({ message }, i) => {
        // A refusal is settled, and released, by the caller that waits for it.
        if (answers[i]?.result !== 'refused') this.release(message.deliveryId)
      })
    }
  }
}

const confirmationOf = (answer: PeerAnswer | undefined): Confirmation => {
  if (answer?.result === 'done') return 'done'
  return answer?.result === 'refused' ? 'refused' : 'unknown'
}
