import { Connections } from './connections.ts'
import type { Ground } from './ground.ts'
import { type Slice, runSlice } from './load.ts'
import { type WireRequest, getKeyRequest, getKeysWithIdsRequest } from './operations.ts'
import type { Call, NextRequest, Pairing } from './supply.ts'

/** A slice of load on a KME. */
export interface KmeSlice extends Slice {
  /** The KME that was asked. CPU time is first its own, then that of the other KME. */
  readonly asked: string
}

export interface Direction extends Pairing {
  readonly connections: Connections
}

/** A slice never makes more calls; half of what is left at the low water mark has to suffice for them. */
const MOST_CALLS_PER_SLICE = 30_000
const MOST_KEYS_PER_SLICE = 100_000
/** How much faster a slice may be than the fastest before without running out of keys. */
const MARGIN = 1.3
/** Of no use to anybody if it is too low: a slice that runs out at its beginning is none. */
const FIRST_GUESS_PER_S = 4_000
const ANY_KEY_ID = '00000000-0000-4000-8000-000000000000'

/** One call over a fixed number of connections: to both KMEs in turn, and to the bare server. */
export class Turns implements Disposable {
  readonly call: Call
  readonly toBare: Connections
  readonly #ground: Ground
  readonly #directions: readonly [Direction, Direction]
  #callsPerSecond = 0

  constructor(ground: Ground, call: Call, connections: number) {
    const { a, b, bare } = ground.lab
    const to = (port: number): Connections => new Connections(connections, port, a.tls)
    this.#ground = ground
    this.call = call
    this.toBare = to(bare.port)
    this.#directions = [
      { asked: a, other: b, connections: to(a.saePort) },
      { asked: b, other: a, connections: new Connections(connections, b.saePort, b.tls) },
    ]
  }

  /** Who is asked in that round: a KME draws from its own lane first, so they take turns. */
  direction(round: number): Direction {
    return this.#directions[round % 2 === 0 ? 0 : 1]
  }

  /** Load on everybody that is not counted. */
  async warmUp(windowMs: number): Promise<void> {
    await this.askBare(windowMs)
    for (const round of [0, 1]) await this.askKme(round, windowMs)
  }

  /** Exactly the requests that a KME gets; the bare server does not look at them. */
  askBare(windowMs: number): Promise<Slice> {
    const request = this.bareRequest()
    return this.#slice(this.toBare, () => request, windowMs, [this.#ground.lab.bare.child.pid])
  }

  bareRequest(): WireRequest {
    const { a, b } = this.#ground.lab
    return this.call.operation === 'get-key'
      ? getKeyRequest(b.saeId, this.call.keysPerCall)
      : getKeysWithIdsRequest(a.saeId, [ANY_KEY_ID])
  }

  async askKme(round: number, windowMs: number): Promise<KmeSlice> {
    const direction = this.direction(round)
    const { asked, other, connections } = direction
    const next = await this.#ground.supply.requests(direction, this.call, this.#calls(windowMs))
    const pids = [asked.child.pid, other.child.pid]
    const slice = await this.#slice(connections, next, windowMs, pids)
    this.#callsPerSecond = Math.max(this.#callsPerSecond, slice.requestsPerSecond)
    return { asked: asked.kmeId, ...slice }
  }

  [Symbol.dispose](): void {
    for (const { connections } of this.#directions) connections[Symbol.dispose]()
    this.toBare[Symbol.dispose]()
  }

  #calls(windowMs: number): number {
    const seconds = (windowMs + this.#ground.pace.leadInMs) / 1000
    const { count } = this.toBare
    const most = Math.floor(MOST_KEYS_PER_SLICE / this.call.keysPerCall)
    const guess = Math.ceil((this.#callsPerSecond || FIRST_GUESS_PER_S) * seconds * MARGIN) + count
    return Math.min(guess, most, MOST_CALLS_PER_SLICE)
  }

  #slice(
    connections: Connections,
    next: NextRequest,
    windowMs: number,
    pids: readonly number[],
  ): Promise<Slice> {
    const { pace, hertz, signal } = this.#ground
    return runSlice({ connections, next, windowMs, pids, hertz, signal, leadInMs: pace.leadInMs })
  }
}
