import type { ConfirmMessage, PeerAnswer } from '../ports/peer.ts'
import type { LinkState, Session } from './link-state.ts'
import type { DeliveryId } from '../model/key-id.ts'
import type { LinkParts } from './link-parts.ts'
import type { Messenger } from './messenger.ts'
import { isKmeError, messageOf } from '../errors.ts'
import { pause, withDeadline } from '../support/deadline.ts'

/** `unknown`: the peer may or may not have it; it is confirmed until answered. */
export type Confirmation = 'done' | 'refused' | 'unknown'

const AGAIN_MS = 50

/** Whether a caller still waits for what the peer says. */
interface Waiting {
  anybody: boolean
}

/**
 * Tells the peer of deliveries while they are being committed here. What is not answered in time is
 * left to the courier.
 */
export class Confirmations {
  readonly #parts: LinkParts
  readonly #state: LinkState
  readonly #messenger: Messenger
  /** Deliveries that are being told or whose acknowledgement is being stored: the courier leaves them. */
  readonly #underWay = new Set<string>()
  #messages = 0

  constructor(parts: LinkParts, state: LinkState, messenger: Messenger) {
    this.#parts = parts
    this.#state = state
    this.#messenger = messenger
  }

  isUnderWay(deliveryId: DeliveryId): boolean {
    return this.#underWay.has(deliveryId.toString('hex'))
  }

  /** Messages that are not answered yet. */
  get messagesUnderWay(): number {
    return this.#messages
  }

  /** Leaves deliveries to the courier. */
  release(messages: readonly { readonly deliveryId: DeliveryId }[]): void {
    for (const { deliveryId } of messages) this.#underWay.delete(deliveryId.toString('hex'))
  }

  /**
   * Tells the peer of the deliveries of one batch, whose commit is asked for in the same turn: it
   * may be told before they are durable here. Resolves at the deadline at the latest; never throws.
   * Those `refused` are the caller's to end and to release.
   */
  async tell(
    session: Session,
    messages: readonly ConfirmMessage[],
  ): Promise<readonly Confirmation[]> {
    const { clock, settings } = this.#parts
    const waiting = { anybody: true }
    const answers = this.#tell(session, messages, waiting)
    const confirmations = await withDeadline(clock, settings.confirmDeadlineMs, answers, null)
    if (confirmations) return confirmations
    waiting.anybody = false
    this.#state.missedDeadline()
    return messages.map(() => 'unknown')
  }

  /** The same, where nobody waits for the answer; a refusal is left to the courier. */
  async notify(session: Session, messages: readonly ConfirmMessage[]): Promise<void> {
    await this.#tell(session, messages, { anybody: false })
  }

  async #tell(
    session: Session,
    messages: readonly ConfirmMessage[],
    waiting: Waiting,
  ): Promise<readonly Confirmation[]> {
    for (const { deliveryId } of messages) this.#underWay.add(deliveryId.toString('hex'))
    const answers = await this.#ask(session, messages)
    const isPutOff = answers.some((answer) => answer?.result === 'retry')
    // The peer cannot take them yet, for example because its own hello is not done: until the deadline.
    if (isPutOff && waiting.anybody) {
      await pause(this.#parts.clock, AGAIN_MS)
      return this.#tell(session, messages, waiting)
    }
    this.#keep(session, messages, answers)
    const mayEndIt = (i: number): boolean => waiting.anybody && answers[i]?.result === 'refused'
    this.release(messages.filter((_, i) => answers[i]?.result !== 'done' && !mayEndIt(i)))
    return answers.map(confirmationOf)
  }

  /** One answer per message; none where it is unknown what arrived. */
  async #ask(
    session: Session,
    messages: readonly ConfirmMessage[],
  ): Promise<readonly (PeerAnswer | null)[]> {
    this.#messages += 1
    try {
      return await this.#messenger.send(session, messages)
    } catch (error) {
      if (isKmeError(error, 'PEER_UNAVAILABLE')) this.#state.missedDeadline()
      return messages.map(() => null)
    } finally {
      this.#messages -= 1
    }
  }

  /**
   * Stores the acknowledgements, with a later commit: nobody waits for that. Those that cannot be
   * stored are asked for again by the courier.
   */
  #keep(
    session: Session,
    messages: readonly ConfirmMessage[],
    answers: readonly (PeerAnswer | null)[],
  ): void {
    const done = messages.filter((_, i) => answers[i]?.result === 'done')
    if (done.length === 0) return
    const { store, observer, settings } = this.#parts
    void (async () => {
      try {
        await store.markConfirmed(
          this.#state.ownWriteOf(session),
          done.map(({ deliveryId }) => deliveryId),
        )
      } catch (error) {
        observer.event({
          level: 'debug',
          name: 'link.confirm.again',
          message: `link ${settings.linkId}: an acknowledgement was not stored; it will be asked for again`,
          fields: { cause: messageOf(error) },
        })
      } finally {
        this.release(done)
      }
    })()
  }
}

const confirmationOf = (answer: PeerAnswer | null): Confirmation => {
  if (answer?.result === 'done') return 'done'
  return answer?.result === 'refused' ? 'refused' : 'unknown'
}
