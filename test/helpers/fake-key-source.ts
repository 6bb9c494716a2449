import { randomBytes } from 'node:crypto'
import { KmeError } from '../../src/errors.ts'
import { makeDeliveryId } from '../../src/model/key-id.ts'
import type { Moment } from '../../src/model/moment.ts'
import type { DeliveryStore, FetchRequest, FetchedKeys } from '../../src/ports/delivery-store.ts'
import type {
  Destination,
  DestinationLimits,
  IssueRequest,
  IssuedKeys,
} from '../../src/ports/destination.ts'

interface HeldDelivery {
  readonly linkId: string
  readonly master: string
  readonly slaves: ReadonlySet<string>
  readonly keyLengthBytes: number
  readonly material: Buffer
  readonly expiresMs: number
  /** "SAE ID / index" of what was fetched. */
  readonly fetched: Set<string>
}

/** Deliveries in memory, as far as fetching needs them. */
export class FakeKeyStore implements Pick<DeliveryStore, 'fetchKeys'> {
  readonly #held = new Map<string, HeldDelivery>()
  /** Keys that SAEs registered here may still fetch. */
  get openEntitlements(): number {
    let open = 0
    for (const { slaves, material, keyLengthBytes, fetched } of this.#held.values()) {
      open += slaves.size * (material.length / keyLengthBytes) - fetched.size
    }
    return open
  }

  hold(
    deliveryId: Buffer,
    request: IssueRequest,
    material: Buffer,
    { linkId, expiresMs }: Pick<HeldDelivery, 'linkId' | 'expiresMs'>,
  ): void {
    this.#held.set(deliveryId.toString('hex'), {
      linkId,
      master: request.master.saeId,
      slaves: new Set(request.localSlaves.map(({ saeId }) => saeId)),
      keyLengthBytes: request.keyLengthBytes,
      material: Buffer.from(material),
      expiresMs,
      fetched: new Set(),
    })
  }

  /** Answers that may be asked for again; a window here never ends. */
  readonly #answers = new Map<string, FetchedKeys & { readonly outcome: 'fetched' }>()

  async fetchKeys(request: FetchRequest, moment: Moment): Promise<FetchedKeys> {
    const { redeliveryWindowMs: windowOf, ...asked } = request
    const redeliveryWindowMs = Math.min(
      ...request.keys.map(({ deliveryId }) => {
        const held = this.#held.get(deliveryId.toString('hex'))
        return held ? (windowOf?.(held.linkId) ?? 0) : 0
      }),
    )
    const name = JSON.stringify(asked)
    const answer = this.#answers.get(name) ?? this.#fetch(request, moment)
    if (answer.outcome !== 'fetched' || redeliveryWindowMs === 0) return answer
    this.#answers.set(name, answer)
    return { ...answer, keys: answer.keys.map((key) => Buffer.from(key)), redeliveryWindowMs }
  }

  #fetch(request: FetchRequest, moment: Moment): FetchedKeys {
    const { sae, masterSaeId, keys } = request
    const found = keys.map(({ deliveryId, index }) => {
      const held = this.#held.get(deliveryId.toString('hex'))
      const count = held ? held.material.length / held.keyLengthBytes : 0
      return held && index < count ? { held, index } : undefined
    })
    const isForeign = found.some((entry) => entry && !entry.held.slaves.has(sae.saeId))
    if (isForeign) return { outcome: 'unauthorized' }
    const isThere = found.every(
      (entry) =>
        entry?.held.master === masterSaeId &&
        entry.held.expiresMs > moment.runningMs &&
        !entry.held.fetched.has(`${sae.saeId} / ${entry.index}`),
    )
    if (!isThere) return { outcome: 'not-found' }
    return {
      outcome: 'fetched',
      keys: found.map((entry) => {
        const { held, index } = entry!
        held.fetched.add(`${sae.saeId} / ${index}`)
        const from = index * held.keyLengthBytes
        return Buffer.from(held.material.subarray(from, from + held.keyLengthBytes))
      }),
    }
  }
}

export const TEST_LIMITS: DestinationLimits = {
  defaultKeySizeBits: 256,
  minKeySizeBits: 64,
  maxKeySizeBits: 4096,
  maxKeysPerRequest: 128,
  maxKeyCount: 1000,
  maxAdditionalSlaves: 3,
  keyLifetimeMs: 60_000,
  redeliveryWindowMs: 0,
}

/** Issues random keys out of a pool of so many bytes. */
export class FakeDestination implements Destination {
  readonly targetKmeId: string
  limits: DestinationLimits
  readonly requests: IssueRequest[] = []
  /** The buffers that it handed out, to see that they are wiped. */
  readonly handedOut: Buffer[] = []
  availableBytes = 32_000
  /** Age of the key in the pool. */
  ageMs = 30_000
  failure: Error | null = null
  sources: readonly string[] = ['simulated']
  #issued = 0
  readonly #store: FakeKeyStore
  readonly #now: () => Moment

  constructor(parts: {
    readonly targetKmeId: string
    readonly store: FakeKeyStore
    readonly now: () => Moment
    readonly limits?: Partial<DestinationLimits>
  }) {
    this.targetKmeId = parts.targetKmeId
    this.limits = { ...TEST_LIMITS, ...parts.limits }
    this.#store = parts.store
    this.#now = parts.now
  }

  deliverableKeys(keyLengthBytes: number): number {
    return Math.floor(this.availableBytes / keyLengthBytes)
  }

  provenance(): readonly string[] {
    return this.sources
  }

  async issue(request: IssueRequest): Promise<IssuedKeys> {
    const lengthBytes = request.keyLengthBytes * request.keyCount
    if (this.failure) throw this.failure
    if (lengthBytes > this.availableBytes) {
      throw new KmeError('KEYS_EXHAUSTED', 'there are too few keys now', { retryAfterS: 2.5 })
    }
    if (request.maxAgeMs !== null && this.ageMs > request.maxAgeMs) {
      throw new KmeError('OPTIONS_NOT_MET', 'the key is too old')
    }
    this.requests.push(request)
    this.availableBytes -= lengthBytes
    this.#issued += 1
    const deliveryId = makeDeliveryId(this.#issued, randomBytes(10))
    const material = randomBytes(lengthBytes)
    const expiresMs = this.#now().runningMs + this.limits.keyLifetimeMs
    this.#store.hold(deliveryId, request, material, { linkId: this.targetKmeId, expiresMs })
    this.handedOut.push(material)
    return { deliveryId, material }
  }
}
