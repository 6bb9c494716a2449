import { setTimeout as sleep } from 'node:timers/promises'
import { wipe } from '../src/support/wipe.ts'
import { type Lab, type Site, untilLink } from './lab.ts'
import { Connections, type Slice, runSlice } from './load.ts'
import {
  KEY_SIZE_BITS,
  type OperationName,
  type WireRequest,
  getKeyRequest,
  getKeyWithIdsRequest,
} from './operations.ts'
import type { CaseSpec, Plan } from './options.ts'

/** A slice of load on a KME. */
export interface KmeSlice extends Slice {
  /** The KME that was asked. CPU time is first its own, then that of the other KME. */
  readonly asked: string
}

/** One row of the table: one call at one number of connections. */
export interface CaseResult extends CaseSpec {
  /** In the order in which they ran; slice i of the one stands beside slice i of the other. */
  readonly kme: readonly KmeSlice[]
  readonly bare: readonly Slice[]
}

export interface CaseParts {
  readonly lab: Lab
  readonly plan: Plan
  readonly hertz: number
  readonly signal: AbortSignal
}

const KEY_BYTES = KEY_SIZE_BITS / 8
const DRAWS_AT_ONCE = 64
/** A slice never asks for more; also what the lane has to hold when it begins. */
const MOST_KEYS_PER_SLICE = 15_000
/** How much faster a slice may be than the one before without running out of keys. */
const MARGIN = 1.3
const FIRST_GUESS_PER_S = 1_000
/** What was drawn is stored and acknowledged; the rest of that work belongs to no slice. */
const SETTLE_MS = 200

/** One direction: the SAE at `asked` calls, the SAE at `other` is its counterpart. */
interface Direction {
  readonly asked: Site
  readonly other: Site
  readonly connections: Connections
}

interface Callers extends Disposable {
  readonly directions: readonly Direction[]
  readonly toBare: Connections
}

/** Keys that were drawn and not fetched, by the KME at which they can be fetched. */
export type DrawnKeys = Map<string, string[]>

const untilLaneHolds = (site: Site, keys: number, signal: AbortSignal): Promise<void> =>
  untilLink(site, ({ lanes }) => lanes[0].availableBytes >= keys * KEY_BYTES, signal)

/** Draws at the other KME until `count` keys wait at the one that will be asked. */
const draw = async (
  { asked, other }: Direction,
  drawn: string[],
  count: number,
  signal: AbortSignal,
): Promise<void> => {
  await untilLaneHolds(other, count, signal)
  let missing = count - drawn.length
  const drawSome = async (): Promise<void> => {
    while (missing > 0 && !signal.aborted) {
      missing -= 1
      // Each by itself, as the key of a call: those of one call lie together in the store.
      const keys = await other.client.getKey(asked.saeId, { size: KEY_SIZE_BITS })
      for (const { key, key_ID } of keys) {
        wipe(key)
        drawn.push(key_ID)
      }
    }
  }
  await Promise.all(Array.from({ length: DRAWS_AT_ONCE }, drawSome))
  await sleep(SETTLE_MS, undefined, { signal })
}

/** Measures one case: both servers are warmed up, then sliced in turns. */
export class Case {
  readonly #parts: CaseParts
  readonly #drawn: DrawnKeys
  readonly #operation: OperationName
  readonly #count: number
  #requestsPerSecond = FIRST_GUESS_PER_S

  constructor(parts: CaseParts, { operation, connections }: CaseSpec, drawn: DrawnKeys) {
    this.#parts = parts
    this.#operation = operation
    this.#count = connections
    this.#drawn = drawn
  }

  async run(): Promise<CaseResult> {
    const { rounds, sliceMs, warmUpMs } = this.#parts.plan
    using callers = this.#connect()
    await this.#askAll(callers, warmUpMs)
    const kme: KmeSlice[] = []
    const bare: Slice[] = []
    for (let round = 0; round < rounds; round += 1) {
      bare.push(await this.#askBare(callers.toBare, sliceMs))
      const direction = callers.directions[round % callers.directions.length]
      if (direction) kme.push(await this.#askKme(direction, sliceMs))
    }
    return { operation: this.#operation, connections: this.#count, kme, bare }
  }

  /** Load that is not counted: code that has hardly run is many times slower. */
  async warmUp(): Promise<void> {
    using callers = this.#connect()
    await this.#askAll(callers, this.#parts.plan.firstWarmUpMs)
  }

  async #askAll({ directions, toBare }: Callers, windowMs: number): Promise<void> {
    await this.#askBare(toBare, windowMs)
    for (const direction of directions) await this.#askKme(direction, windowMs)
  }

  #connect(): Callers {
    const { a, b, bare } = this.#parts.lab
    const toA = new Connections(this.#count, a.saePort, a.tls)
    const toB = new Connections(this.#count, b.saePort, b.tls)
    const toBare = new Connections(this.#count, bare.port, a.tls)
    return {
      toBare,
      directions: [
        { asked: a, other: b, connections: toA },
        { asked: b, other: a, connections: toB },
      ],
      [Symbol.dispose]: () => {
        for (const connections of [toA, toB, toBare]) connections[Symbol.dispose]()
      },
    }
  }

  /** Exactly the requests that a KME gets; the bare server does not look at them. */
  #askBare(connections: Connections, windowMs: number): Promise<Slice> {
    const { a, b, bare } = this.#parts.lab
    const request =
      this.#operation === 'get-key'
        ? getKeyRequest(b.saeId)
        : getKeyWithIdsRequest(a.saeId, '00000000-0000-4000-8000-000000000000')
    return this.#slice(connections, () => request, windowMs, [bare.child.pid])
  }

  async #askKme(direction: Direction, windowMs: number): Promise<KmeSlice> {
    const { asked, other, connections } = direction
    const next = await this.#requests(direction, this.#keysFor(windowMs))
    const pids = [asked.child.pid, other.child.pid]
    const slice = await this.#slice(connections, next, windowMs, pids)
    this.#requestsPerSecond = slice.requestsPerSecond
    return { asked: asked.kmeId, ...slice }
  }

  #keysFor(windowMs: number): number {
    const seconds = (windowMs + this.#parts.plan.leadInMs) / 1000
    const guess = Math.ceil(this.#requestsPerSecond * seconds * MARGIN) + this.#count
    return Math.min(guess, MOST_KEYS_PER_SLICE)
  }

  async #requests(direction: Direction, keys: number): Promise<() => WireRequest | null> {
    const { signal } = this.#parts
    const { asked, other } = direction
    if (this.#operation === 'get-key') {
      await untilLaneHolds(asked, keys, signal)
      const request = getKeyRequest(other.saeId)
      return () => request
    }
    const drawn = this.#drawn.get(asked.kmeId) ?? []
    this.#drawn.set(asked.kmeId, drawn)
    await draw(direction, drawn, keys, signal)
    return () => {
      const keyId = drawn.pop()
      return keyId === undefined ? null : getKeyWithIdsRequest(other.saeId, keyId)
    }
  }

  #slice(
    connections: Connections,
    next: () => WireRequest | null,
    windowMs: number,
    pids: readonly number[],
  ): Promise<Slice> {
    const { plan, hertz, signal } = this.#parts
    return runSlice({ connections, next, windowMs, pids, hertz, signal, leadInMs: plan.leadInMs })
  }
}
