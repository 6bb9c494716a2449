import { setTimeout as sleep } from 'node:timers/promises'
import { wipe } from '../src/support/wipe.ts'
import {
  KEY_SIZE_BITS,
  type OperationName,
  type WireRequest,
  getKeyRequest,
  getKeysWithIdsRequest,
} from './operations.ts'
import type { Site } from './site.ts'

/** The SAE at `asked` calls, the SAE at `other` is its counterpart. */
export interface Pairing {
  readonly asked: Site
  readonly other: Site
}

export interface Call {
  readonly operation: OperationName
  readonly keysPerCall: number
}

/** The next request, or null when there is none any more. */
export type NextRequest = () => WireRequest | null

const DRAWS_AT_ONCE = 64
/** What was drawn is stored and acknowledged; the rest of that work belongs to no slice. */
const SETTLE_MS = 200

/** Sees to it that a pair of KMEs has the keys that a slice of load will ask for. */
export class Supply {
  readonly #signal: AbortSignal
  /** Keys that were drawn and not fetched, by the KME at which they can be fetched. */
  readonly #drawn = new Map<string, string[]>()

  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  /** Resolves when as many calls can be answered, and nothing else is under way at the KMEs. */
  async requests(pairing: Pairing, call: Call, calls: number): Promise<NextRequest> {
    if (call.operation === 'get-key') return this.#getKey(pairing, call.keysPerCall, calls)
    if (call.keysPerCall !== 1) throw new TypeError('keys are fetched one per call')
    return this.#getKeyWithIds(pairing, calls)
  }

  async #getKey({ asked, other }: Pairing, keysPerCall: number, calls: number) {
    await asked.untilItCanDeliver(calls * keysPerCall)
    await asked.untilAtRest()
    const request = getKeyRequest(other.saeId, keysPerCall)
    let left = calls
    return () => {
      left -= 1
      return left < 0 ? null : request
    }
  }

  async #getKeyWithIds(pairing: Pairing, calls: number): Promise<NextRequest> {
    const { asked, other } = pairing
    const drawn = this.#drawn.get(asked.kmeId) ?? []
    this.#drawn.set(asked.kmeId, drawn)
    await this.#draw(pairing, drawn, calls)
    await asked.untilAtRest()
    return () => {
      const keyId = drawn.pop()
      return keyId === undefined ? null : getKeysWithIdsRequest(other.saeId, [keyId])
    }
  }

  /** Draws at the other KME until `count` keys wait at the one that will be asked. */
  async #draw({ asked, other }: Pairing, drawn: string[], count: number): Promise<void> {
    let missing = count - drawn.length
    await other.untilItCanDeliver(Math.max(0, missing))
    const drawSome = async (): Promise<void> => {
      while (missing > 0 && !this.#signal.aborted) {
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
    await sleep(SETTLE_MS, undefined, { signal: this.#signal })
  }
}
