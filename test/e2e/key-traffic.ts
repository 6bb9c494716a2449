import { setTimeout as sleep } from 'node:timers/promises'
import type { Etsi014Client } from '../../src/etsi014/client.ts'
import type { KeyMessage } from '../../src/etsi014/messages.ts'
import { isKmeError } from '../../src/errors.ts'

/** A master SAE at one KME and a slave SAE at the other. */
export interface Pairing {
  readonly masterId: string
  readonly master: Etsi014Client
  readonly slaveId: string
  readonly slave: Etsi014Client
}

export interface Traffic {
  /** Keys that master and slave have with the same bytes: those of the master. */
  readonly keys: readonly Buffer[]
  /** Keys whose slave got no answer to a fetch that may have counted. */
  readonly lostAnswers: number
}

/** From 64 to 4096 bits: all of whole bytes, few of whole blocks of anything. */
const SIZES_BITS = [64, 256, 128, 4096, 192, 72, 512, 1000, 256, 2048, 384, 1032] as const
const COUNTS = [1, 17, 64, 5, 33, 2, 48, 9, 128, 3, 21] as const
/** Of so many deliveries one is fetched only at the end, after whatever happened in between. */
const PUT_OFF_EVERY = 4

const RETRY_MS = 50
const MOST_RETRIES = 1_000

/** 503, or no answer at all: what a client is to try again. */
const isPassing = (error: unknown): boolean =>
  isKmeError(error, 'NOT_READY') || isKmeError(error, 'PEER_UNAVAILABLE')

/** Draws until an answer comes. What an answer that got lost may have held is not counted. */
const draw = async (
  { master, slaveId }: Pairing,
  request: { readonly number: number; readonly size: number },
): Promise<readonly KeyMessage[]> => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await master.getKey(slaveId, request)
    } catch (error) {
      if (!isPassing(error) || attempt === MOST_RETRIES) throw error
      await sleep(RETRY_MS)
    }
  }
}

/** Fetches until an answer comes; null where the keys went with an answer that was lost. */
const fetchKeys = async (
  { masterId, slave }: Pairing,
  keyIds: readonly string[],
): Promise<readonly KeyMessage[] | null> => {
  let answerLost = false
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await slave.getKeysWithIds(masterId, keyIds)
    } catch (error) {
      if (answerLost && isKmeError(error, 'KEY_NOT_FOUND')) return null
      if (!isPassing(error) || attempt === MOST_RETRIES) throw error
      // A refusal tells that nothing was fetched; silence does not.
      answerLost ||= isKmeError(error, 'PEER_UNAVAILABLE')
      await sleep(RETRY_MS)
    }
  }
}

/** One pairing that draws and fetches, one delivery after the other. */
class Worker {
  readonly keys: Buffer[] = []
  lostAnswers = 0
  readonly #pairing: Pairing
  readonly #drawn: (count: number) => void
  readonly #putOff: (readonly KeyMessage[])[] = []
  #turn: number

  constructor(pairing: Pairing, turn: number, drawn: (count: number) => void) {
    this.#pairing = pairing
    this.#turn = turn
    this.#drawn = drawn
  }

  async run(keyCount: number): Promise<void> {
    let deliveries = 0
    for (let left = keyCount; left > 0;) {
      const keys = await draw(this.#pairing, this.#next(left))
      left -= keys.length
      this.#drawn(keys.length)
      if (deliveries % PUT_OFF_EVERY === 0) this.#putOff.push(keys)
      else await this.#fetch(keys, true)
      deliveries += 1
    }
  }

  /** Fetches what was put off. Nothing of it was asked for before, so all of it has to be there. */
  async finish(): Promise<void> {
    for (const keys of this.#putOff) await this.#fetch(keys, false)
  }

  #next(left: number): { readonly number: number; readonly size: number } {
    const turn = this.#turn
    this.#turn += 1
    return {
      number: Math.min(left, COUNTS[turn % COUNTS.length] ?? 1),
      size: SIZES_BITS[turn % SIZES_BITS.length] ?? 256,
    }
  }

  async #fetch(drawn: readonly KeyMessage[], mayBeLost: boolean): Promise<void> {
    const fetched = await fetchKeys(
      this.#pairing,
      drawn.map(({ key_ID }) => key_ID),
    )
    if (!fetched) {
      if (!mayBeLost) throw new Error('keys that nobody had asked for were gone')
      this.lostAnswers += drawn.length
      return
    }
    for (const [i, { key_ID, key }] of drawn.entries()) {
      const other = fetched[i]
      if (other?.key_ID !== key_ID || !other.key.equals(key)) {
        throw new Error(`${key_ID}: master and slave got different keys`)
      }
      this.keys.push(key)
    }
  }
}

/** Resolves when that share of the keys was drawn, from 0 to 1. */
type Reached = (share: number) => Promise<void>

export interface TrafficOptions {
  /** Keys that all pairings draw together. */
  readonly keyCount: number
  /** Runs beside the traffic. */
  readonly meanwhile?: (reached: Reached) => Promise<void>
}

/** Counts the keys that were drawn, and wakes who waits for a share of them. */
class Progress {
  readonly #keyCount: number
  #drawn = 0
  #waiting: { readonly share: number; readonly wake: () => void }[] = []

  constructor(keyCount: number) {
    this.#keyCount = keyCount
  }

  add(count: number): void {
    this.#drawn += count
    const isDue = ({ share }: { readonly share: number }) => this.#drawn >= share * this.#keyCount
    for (const { wake } of this.#waiting.filter(isDue)) wake()
    this.#waiting = this.#waiting.filter((one) => !isDue(one))
  }

  reached(share: number): Promise<void> {
    return new Promise((wake) => {
      this.#waiting.push({ share, wake })
      this.add(0)
    })
  }
}

/** Lets all pairings draw and fetch at once, and compares each key byte for byte. */
export const exchangeKeys = async (
  pairings: readonly Pairing[],
  { keyCount, meanwhile }: TrafficOptions,
): Promise<Traffic> => {
  const progress = new Progress(keyCount)
  const workers = pairings.map(
    (pairing, i) =>
      new Worker(pairing, i * 3, (count) => {
        progress.add(count)
      }),
  )
  const perPairing = Math.ceil(keyCount / pairings.length)
  await Promise.all([
    ...workers.map((worker) => worker.run(perPairing)),
    meanwhile?.((share) => progress.reached(share)),
  ])
  await Promise.all(workers.map((worker) => worker.finish()))
  return {
    keys: workers.flatMap(({ keys }) => keys),
    lostAnswers: workers.reduce((sum, worker) => sum + worker.lostAnswers, 0),
  }
}
