import type { DeliveryId } from '../model/key-id.ts'
import { KmeError } from '../errors.ts'
import type { LinkParts } from './link-parts.ts'
import type { LinkState, Session } from './link-state.ts'
import type { Messenger } from './messenger.ts'
import type { PeerAnswer } from '../ports/peer.ts'
import type { RegisteredSae } from '../model/delivery.ts'
import { withDeadline } from '../support/deadline.ts'

const MOST_AT_ONCE = 256

/**
 * With `confirm: local` a slave may ask for its keys before this KME was told of them: then the peer
 * is asked for the deliveries that are not known here.
 */
export class DeliveryQuestion {
  readonly #parts: LinkParts
  readonly #state: LinkState
  readonly #messenger: Messenger

  constructor(parts: LinkParts, state: LinkState, messenger: Messenger) {
    this.#parts = parts
    this.#state = state
    this.#messenger = messenger
  }

  /** @throws KmeError PEER_UNAVAILABLE where the peer does not answer in time */
  async ask(deliveryIds: readonly DeliveryId[], sae: RegisteredSae): Promise<void> {
    const unknown = await this.#parts.store.listUnknown(deliveryIds)
    for (let at = 0; at < unknown.length; at += MOST_AT_ONCE) {
      await this.#askFor(unknown.slice(at, at + MOST_AT_ONCE), sae)
    }
  }

  async #askFor(deliveryIds: readonly DeliveryId[], sae: RegisteredSae): Promise<void> {
    const { session } = this.#state
    if (!session) throw this.#unavailable()
    const { clock, settings } = this.#parts
    const { saeId, registrationId } = sae
    const message = { kind: 'deliveries', deliveryIds, sae: { saeId, registrationId } } as const
    const asked = this.#messenger.ask(session, message).catch((error: unknown) => {
      throw this.#unavailable(error)
    })
    const answer = await withDeadline(clock, settings.confirmDeadlineMs, asked, null)
    if (answer?.result !== 'deliveries') throw this.#unavailable()
    await this.#apply(session, answer, deliveryIds)
  }

  /** Only what was asked for: the rest comes by itself. */
  async #apply(
    session: Session,
    { confirms }: Extract<PeerAnswer, { result: 'deliveries' }>,
    deliveryIds: readonly DeliveryId[],
  ): Promise<void> {
    const wanted = confirms.filter(({ deliveryId }) =>
      deliveryIds.some((id) => id.equals(deliveryId)),
    )
    if (wanted.length === 0) return
    const { store, now } = this.#parts
    try {
      await store.applyAnsweredConfirms(this.#state.ownWriteOf(session), wanted, now())
    } catch (error) {
      throw this.#unavailable(error)
    }
  }

  #unavailable(cause?: unknown): KmeError {
    const { peerKmeId } = this.#parts.settings
    return new KmeError(
      'PEER_UNAVAILABLE',
      `KME ${peerKmeId} cannot be asked for these keys now; try again later`,
      { cause },
    )
  }
}
