import type { Peer, PeerAnswer, PeerMessage } from '../ports/peer.ts'
import type { Greeter } from './greeter.ts'
import { KmeError } from '../errors.ts'
import type { LinkState, Session } from './link-state.ts'

/** Says things to the peer within a session, and notices when an answer ends it. */
export class Messenger {
  readonly #state: LinkState
  readonly #peer: Peer
  readonly #greeter: Greeter

  constructor(state: LinkState, peer: Peer, greeter: Greeter) {
    this.#state = state
    this.#peer = peer
    this.#greeter = greeter
  }

  /**
   * One answer per message. An answer to what was said in an earlier session is dropped.
   * @throws KmeError PEER_UNAVAILABLE where it is unknown what arrived; LIFE_ENDED where the session is over
   */
  async send(session: Session, messages: readonly PeerMessage[]): Promise<readonly PeerAnswer[]> {
    const answers = await this.#peer.send(this.#state.stampOf(session), messages)
    if (answers.length !== messages.length) {
      throw new KmeError('PROTOCOL', 'the peer did not answer each message')
    }
    if (this.#state.session !== session) throw new KmeError('LIFE_ENDED', 'the hello has ended')
    // Who answers *retry* is there but can take nothing: no more key is spent on it.
    if (answers.length > 0 && !answers.some(isPutOff)) this.#state.heardFromPeer()
    if (answers.some((answer) => answer.result === 'stale')) {
      this.#greeter.endSession('the peer KME knows a later life of this link')
    }
    return answers
  }

  async ask(session: Session, message: PeerMessage): Promise<PeerAnswer> {
    const [answer] = await this.send(session, [message])
    if (!answer) throw new KmeError('PROTOCOL', 'the peer did not answer')
    return answer
  }
}

const isPutOff = ({ result }: PeerAnswer): boolean => result === 'retry' || result === 'stale'
