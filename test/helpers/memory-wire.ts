import { encode, helloSchema, requestSchema, responseSchema } from '../../src/peers/messages.ts'
import { KmeError } from '../../src/errors.ts'
import type {
  Hello,
  Peer,
  PeerAnswer,
  PeerHandler,
  PeerMessage,
  Stamp,
} from '../../src/ports/peer.ts'

const NONCE = '0'.repeat(32)

/** What happens to messages in one direction. */
export interface Faults {
  /** Nothing arrives. */
  cut: boolean
  /** Arrives and is applied, but the answer is lost. */
  loseAnswers: boolean
  /** Each request arrives twice. */
  twice: boolean
  /** Called with each message before it is passed on; `false`: this request does not arrive. */
  pass: (messages: readonly PeerMessage[]) => boolean | Promise<boolean>
}

const noFaults = (): Faults => ({ cut: false, loseAnswers: false, twice: false, pass: () => true })

/** The peer port without a network: everything goes through the wire format, and can be disturbed. */
export class MemoryWire implements Peer {
  readonly faults: Faults = noFaults()
  readonly sent: PeerMessage[] = []
  readonly #lost: (() => void)[] = []
  #handler: PeerHandler | null = null

  /** Who hears what is sent here; null: nobody is there. */
  connect(handler: PeerHandler | null): void {
    this.#handler = handler
  }

  async hello(question: Hello): Promise<Hello> {
    const handler = this.#reach()
    const asked = helloSchema.parse(JSON.parse(encode(question)))
    const answer = helloSchema.parse(JSON.parse(encode(await handler.hello(asked))))
    this.#answered()
    return answer
  }

  async send(stamp: Stamp, messages: readonly PeerMessage[]): Promise<readonly PeerAnswer[]> {
    const handler = this.#reach()
    if (!(await this.faults.pass(messages))) throw unreachable()
    this.sent.push(...messages)
    const request = requestSchema.parse(JSON.parse(encode({ nonce: NONCE, stamp, messages })))
    if (this.faults.twice) await handler.receive(request.stamp, request.messages)
    const answers = await handler.receive(request.stamp, request.messages)
    this.#answered()
    const response = { nonce: NONCE, kmeId: 'peer', answers }
    return responseSchema.parse(JSON.parse(encode(response))).answers
  }

  onLost(callback: () => void): void {
    this.#lost.push(callback)
  }

  /** The last connection breaks. */
  breakConnection(): void {
    for (const callback of this.#lost) callback()
  }

  async close(): Promise<void> {
    this.#handler = null
  }

  #reach(): PeerHandler {
    if (this.faults.cut || !this.#handler) throw unreachable()
    return this.#handler
  }

  #answered(): void {
    if (this.faults.loseAnswers) throw unreachable()
  }
}

const unreachable = (): KmeError => new KmeError('PEER_UNAVAILABLE', 'nobody answers')
