import { encode, helloSchema, requestSchema, responseSchema } from '../../../src/peers/messages.ts'
import { KmeError } from '../../../src/errors.ts'
import type { Clock } from '../../../src/ports/clock.ts'
import type { Dice } from './dice.ts'
import type { Hello, Peer, PeerAnswer, PeerHandler } from '../../../src/ports/peer.ts'
import type { PeerMessage, Stamp } from '../../../src/ports/peer.ts'
import { withDeadline } from '../../../src/support/deadline.ts'

const NONCE = '0'.repeat(32)
const LONGEST_DELAY_MS = 400
const TIMEOUT_MS = 2_000

export interface ChaosWireOptions {
  readonly clock: Clock
  readonly dice: Dice
  /** Who is there when a message arrives: a late one may meet another life. */
  readonly handler: () => PeerHandler | null
}

/** One direction of the way to the peer: late, lost, doubled, in another order, through the wire format. */
export class ChaosWire implements Peer {
  readonly #with: ChaosWireOptions
  readonly #lost: (() => void)[] = []
  /** Nothing arrives. */
  cut = false
  /** One in so many answers is lost; 0: none. */
  losesOneIn = 0
  /** One in so many requests is late; 0: none. */
  delaysOneIn = 0
  /** One in so many requests comes once more, later; 0: none. */
  repeatsOneIn = 0

  constructor(options: ChaosWireOptions) {
    this.#with = options
  }

  heal(): void {
    this.cut = false
    this.losesOneIn = 0
    this.delaysOneIn = 0
    this.repeatsOneIn = 0
  }

  async hello(question: Hello): Promise<Hello> {
    const text = encode(question)
    const answer = await this.#exchange(async () =>
      encode(await this.#reach().hello(helloSchema.parse(JSON.parse(text)))),
    )
    return helloSchema.parse(JSON.parse(answer))
  }

  async send(stamp: Stamp, messages: readonly PeerMessage[]): Promise<readonly PeerAnswer[]> {
    const text = encode({ nonce: NONCE, stamp, messages })
    if (this.#happens(this.repeatsOneIn)) void this.#repeat(text)
    const response = await this.#exchange(async () =>
      encode({ nonce: NONCE, kmeId: 'peer', answers: await this.#deliver(text) }),
    )
    return responseSchema.parse(JSON.parse(response)).answers
  }

  /** Who is killed meanwhile never answers. */
  async #exchange(arrive: () => Promise<string>): Promise<string> {
    const there = async (): Promise<string> => {
      await this.#travel()
      const response = await arrive()
      await this.#return()
      return response
    }
    const response = await withDeadline(this.#with.clock, TIMEOUT_MS, there(), null)
    if (response === null) throw unreachable()
    return response
  }

  onLost(callback: () => void): void {
    this.#lost.push(callback)
  }

  breakConnection(): void {
    for (const callback of this.#lost) callback()
  }

  async close(): Promise<void> {
    this.cut = true
  }

  async #deliver(text: string): Promise<readonly PeerAnswer[]> {
    const { stamp, messages } = requestSchema.parse(JSON.parse(text))
    return this.#reach().receive(stamp, messages)
  }

  async #repeat(text: string): Promise<void> {
    await this.#pause()
    try {
      await this.#deliver(text)
    } catch {
      // Nobody waits for it.
    }
  }

  async #travel(): Promise<void> {
    if (this.#happens(this.delaysOneIn)) await this.#pause()
  }

  async #return(): Promise<void> {
    await this.#travel()
    if (this.cut || this.#happens(this.losesOneIn)) throw unreachable()
  }

  #happens(oneIn: number): boolean {
    return oneIn > 0 && this.#with.dice.once(oneIn)
  }

  #pause(): Promise<void> {
    const { clock, dice } = this.#with
    return new Promise((resolve) => {
      clock.after(1 + dice.roll(LONGEST_DELAY_MS), resolve)
    })
  }

  #reach(): PeerHandler {
    const handler = this.cut ? null : this.#with.handler()
    if (!handler) throw unreachable()
    return handler
  }
}

const unreachable = (): KmeError => new KmeError('PEER_UNAVAILABLE', 'nobody answers')
