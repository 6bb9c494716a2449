import { expect } from '@jest/globals'
import { ChaosEnd } from './chaos-end.ts'
import { Dice } from './dice.ts'
import { FakeClock } from '../../helpers/fake-clock.ts'
import { LANE_NAMES } from '../../../src/model/lane.ts'
import { LINK_ID } from '../../helpers/link-pair.ts'
import { isKmeError } from '../../../src/errors.ts'
import { ledgerDifference } from '../../../src/model/ledger.ts'
import type { IssuedKeys } from '../../../src/ports/destination.ts'
import type { RegisteredSae } from '../../../src/model/delivery.ts'
import { openMemoryStore } from '../../../src/stores/memory/memory-store.ts'

const STEP_MS = 10
const HEAL_STEPS = 6000
const EXPECTED_REFUSALS = ['PEER_UNAVAILABLE', 'NOT_READY', 'KEYS_EXHAUSTED']

/** Keys that a master has received, and who has yet to fetch which of them. */
interface Given {
  readonly issued: IssuedKeys
  readonly keyLengthBytes: number
  readonly master: RegisteredSae
  readonly askedMs: number
  readonly open: { readonly end: ChaosEnd; readonly sae: RegisteredSae; readonly index: number }[]
}

/** Two ends of a link that are treated badly; what a test of the promises needs to know is kept. */
export class ChaosWorld {
  readonly clock = new FakeClock()
  readonly dice: Dice
  readonly a: ChaosEnd
  readonly b: ChaosEnd
  readonly given: Given[] = []
  readonly #keyLifetimeMs: number
  #blocks = 0
  fetched = 0
  refused = 0
  /** Grants that an end was seen to have of the other's lane. */
  granted = 0

  constructor(seed: number, keyLifetimeMs: number) {
    this.dice = new Dice(seed)
    this.#keyLifetimeMs = keyLifetimeMs
    const end = (kmeId: string, peerKmeId: string): ChaosEnd =>
      new ChaosEnd({
        ...{ kmeId, peerKmeId, clock: this.clock, dice: this.dice, keyLifetimeMs },
        store: openMemoryStore({ random: this.dice }),
      })
    this.a = end('kme-a', 'kme-b')
    this.b = end('kme-b', 'kme-a')
    this.a.meet(this.b)
    this.b.meet(this.a)
  }

  get both(): readonly [ChaosEnd, ChaosEnd] {
    return [this.a, this.b]
  }

  other(end: ChaosEnd): ChaosEnd {
    return end === this.a ? this.b : this.a
  }

  any(): ChaosEnd {
    return this.dice.once(2) ? this.a : this.b
  }

  async start(): Promise<void> {
    for (const end of this.both) await end.start()
  }

  /** A block of the device: perhaps lost, flipped or late at one end. */
  makeBlock(faults: boolean, lengthBytes = 32 + this.dice.roll(2500)): void {
    this.#blocks += 1
    const material = this.dice.bytes(lengthBytes)
    const lostAt = faults && this.dice.once(8) ? this.any() : null
    const flippedAt = faults && this.dice.once(8) ? this.any() : null
    for (const end of this.both) {
      if (end === lostAt) continue
      const copy = Buffer.from(material)
      const at = this.dice.roll(lengthBytes)
      if (end === flippedAt) copy[at] = (copy[at] ?? 0) ^ 1
      const lateMs = faults && this.dice.once(4) ? this.dice.roll(500) : 0
      const notBeforeMs = this.clock.monotonicMs() + lateMs
      end.deliverBlock({ vendorId: String(this.#blocks), material: copy, notBeforeMs })
    }
  }

  /** A Get key whose end nobody waits for here. */
  draw(from: ChaosEnd): void {
    if (!from.isUp) return
    const other = this.other(from)
    const [master, second] = from.saes
    if (!master || !second) throw new Error('no SAE')
    const keyLengthBytes = 8 + this.dice.roll(60)
    const keyCount = 1 + this.dice.roll(4)
    const remoteSlaves = other.saes.slice(0, 1 + this.dice.roll(2))
    const localSlaves = this.dice.once(3) ? [second] : []
    const askedMs = this.clock.monotonicMs()
    const request = { master, localSlaves, remoteSlaves, keyLengthBytes, keyCount, maxAgeMs: null }
    from.issue(request).then(
      (issued) => {
        const openAt = (end: ChaosEnd, saes: readonly RegisteredSae[]) =>
          saes.flatMap((sae) =>
            Array.from({ length: keyCount }, (_, index) => ({ end, sae, index })),
          )
        const open = [...openAt(other, remoteSlaves), ...openAt(from, localSlaves)]
        this.given.push({ issued, keyLengthBytes, master, askedMs, open })
      },
      (error: unknown) => {
        this.refused += 1
        if (!EXPECTED_REFUSALS.some((code) => isKmeError(error, code as 'NOT_READY'))) throw error
      },
    )
  }

  /** P2, P3, P4: a key that a master has is there for each slave, equal, and once. */
  async fetchSome(given: Given, most = Infinity): Promise<void> {
    for (const { end, sae, index } of given.open.splice(0, most)) {
      const { deliveryId, material } = given.issued
      const keys = [{ deliveryId, index }]
      const request = { sae, masterSaeId: given.master.saeId, keys }
      const inTime = this.clock.monotonicMs() < given.askedMs + this.#keyLifetimeMs
      const { store } = end.options
      const answer = await store.fetchKeys(request, end.now())
      if (answer.outcome === 'fetched') {
        this.fetched += 1
        const start = index * given.keyLengthBytes
        expect(answer.keys).toEqual([material.subarray(start, start + given.keyLengthBytes)])
        expect(await store.fetchKeys(request, end.now())).toEqual({ outcome: 'not-found' })
      } else if (inTime) {
        throw new Error(`a key that its master has is ${answer.outcome} at ${end.options.kmeId}`)
      }
    }
  }

  async step(): Promise<void> {
    for (const end of this.both) end.pushNext()
    for (const end of this.both) {
      const { lanes } = await end.options.store.readLink(LINK_ID)
      const lane = end === this.a ? 'follower' : 'verifier'
      if (lanes[lane].granted.length > 0) this.granted += 1
    }
    for (const { options, now } of this.both) await options.store.expireDeliveries(now(), 64)
    await this.clock.advanceAsync(STEP_MS)
  }

  async endFaults(): Promise<void> {
    for (const end of this.both) {
      if (!end.isUp) await end.start()
      end.life.failWrites = 0
      end.wire.heal()
    }
  }

  /** Steps until all is told and answered at both ends. */
  async heal(): Promise<void> {
    await this.endFaults()
    // Fills up what is too little for a batch.
    this.makeBlock(false, 5000)
    for (let i = 0; i < HEAL_STEPS; i += 1) {
      await this.step()
      if (i % 20 === 19 && (await this.#isQuiet())) return
    }
    throw new Error(`no rest: ${JSON.stringify(await this.#owed())}`)
  }

  async #isQuiet(): Promise<boolean> {
    const owed = await this.#owed()
    return owed.every((end) => Object.values(end).every((value) => value === 0 || value === ''))
  }

  async #owed(): Promise<readonly Record<string, number | string>[]> {
    return Promise.all(
      this.both.map(async (end) => {
        const { store } = end.options
        const { bytes } = await store.readLedger(LINK_ID)
        const { closedTold, openProposal } = await store.readLink(LINK_ID)
        return {
          waitingFor: end.link.waitingFor,
          blocks: end.hasBlocksToCome ? 1 : 0,
          unconfirmed: await store.countUnconfirmed(LINK_ID),
          drops: (await store.listPendingDrops(LINK_ID, 10)).length,
          grants: (await store.listPendingGrants(LINK_ID, 10)).length,
          // Fewer bytes wait for others.
          unverified: bytes.unverified < 256 ? 0 : bytes.unverified,
          open: openProposal ? 1 : 0,
          untold: closedTold ? 0 : 1,
        }
      }),
    )
  }

  /** After `heal`: P1, P2, P4, P8, and both lanes as far as the stores tell. */
  async check(): Promise<void> {
    for (const given of this.given) await this.fetchSome(given)
    this.#checkNoByteTwice()
    const [a, b] = await Promise.all(
      this.both.map(({ options }) => options.store.readLink(LINK_ID)),
    )
    expect(a?.epoch).toEqual(b?.epoch)
    for (const lane of LANE_NAMES) expect(a?.lanes[lane]).toEqual(b?.lanes[lane])
    for (const { options, fatal, observer } of this.both) {
      const { counters, rows } = await options.store.recountLedger(LINK_ID)
      expect(ledgerDifference(counters)).toBe(0)
      const { unverified, ownLane, otherLane, granted, held } = counters.bytes
      expect({ unverified, ownLane, otherLane, granted, held }).toEqual(rows)
      expect(fatal).toEqual([])
      const usual = new Set(['blocks-differ', 'simulated-keys'])
      expect(new Set([...usual, ...observer.names()])).toEqual(usual)
    }
  }

  #checkNoByteTwice(): void {
    const seen = new Set<string>()
    for (const { issued } of this.given) {
      for (let at = 0; at + 8 <= issued.material.length; at += 1) {
        const window = issued.material.toString('latin1', at, at + 8)
        expect(seen.has(window)).toBe(false)
        seen.add(window)
      }
    }
  }

  /** Time goes on while an end stops. */
  async stopEnd(end: ChaosEnd): Promise<void> {
    const stopping = end.stop().then(() => true)
    const goOn = async (): Promise<false> => {
      await this.clock.advanceAsync(STEP_MS)
      return false
    }
    while (!(await Promise.race([stopping, goOn()])));
  }

  async stop(): Promise<void> {
    for (const end of this.both) await this.stopEnd(end)
    for (const { options } of this.both) await options.store.close()
  }
}
