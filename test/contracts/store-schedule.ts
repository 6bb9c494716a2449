import { describe, expect, test } from '@jest/globals'
import { ledgerDifference } from '../../src/model/ledger.ts'
import type { Delivery } from '../../src/model/delivery.ts'
import type { ConfirmMessage } from '../../src/ports/peer.ts'
import {
  applied,
  at,
  blockOf,
  confirmOf,
  LINK,
  withEnds,
  type End,
  type Ends,
  type OpenStore,
} from './store-ends.ts'

/** Small numbers that are the same in every run (mulberry32). */
const dice = (seed: number) => {
  let state = seed
  return (sides: number): number => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % sides
  }
}

interface Given {
  readonly from: End
  readonly delivery: Delivery
  readonly bytes: Buffer
}

/** Two ends that do anything in any order; what a test of promises needs to know is kept. */
class Schedule {
  readonly #ends: Ends
  readonly #roll: (sides: number) => number
  #blocks = 0
  #nowMs = 0
  readonly #given: Given[] = []
  /** Confirms that were sent: any of them may come again. */
  readonly #sent: { from: End; message: ConfirmMessage }[] = []
  fetched = 0
  batches = 0

  constructor(ends: Ends, seed: number) {
    this.#ends = ends
    this.#roll = dice(seed)
  }

  async step(): Promise<void> {
    const steps = [
      () => this.#offer(),
      () => this.#offer(),
      () => this.#batch(),
      () => this.#allocate(),
      () => this.#allocate(),
      () => this.#confirm(),
      () => this.#confirm(),
      () => this.#fetch(),
      () => this.#fetch(),
      () => this.#repeat(),
      () => this.#drops(),
      () => this.#expire(),
      () => this.#restart(),
    ]
    this.#nowMs += this.#roll(20)
    await steps[this.#roll(steps.length)]?.()
  }

  #end(): End {
    return this.#roll(2) === 0 ? this.#ends.verifier : this.#ends.follower
  }

  async #offer(): Promise<void> {
    const id = `b${this.#blocks}`
    const lengthBytes = 1 + this.#roll(3000)
    this.#blocks += 1
    const onlyAt = this.#roll(10) === 0 ? this.#end() : null
    const differsAt = this.#roll(10) === 0 ? this.#end() : null
    for (const end of this.#ends.both) {
      if (end === onlyAt) continue
      const content = end === differsAt ? `${id}-differs` : id
      await end.offer([blockOf(id, lengthBytes, content)], this.#nowMs)
    }
  }

  async #batch(): Promise<void> {
    await this.#ends.announceBoth()
    const pieces = await this.#ends.nextPieces()
    if (pieces.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0) < 256) return
    const { decided, closed } = await this.#ends.runBatch({ tell: this.#roll(4) > 0 })
    expect(decided?.appended.map(({ lane, start, end }) => [lane, start, end])).toEqual(
      closed.appended.map(({ lane, start, end }) => [lane, start, end]),
    )
    expect(decided?.quarantined).toEqual(closed.quarantined)
    this.batches += 1
  }

  async #allocate(): Promise<void> {
    const from = this.#end()
    const offset = await from.nextFree()
    const keyLengthBytes = 8 + this.#roll(300)
    const keyCount = 1 + this.#roll(9)
    if (offset + keyLengthBytes * keyCount > from.snapshot.lanes[from.name].usableBytes) return
    const timeToLiveMs = 200 + this.#roll(3000)
    const delivery = from.delivery(offset, { keyLengthBytes, keyCount, timeToLiveMs })
    const other = this.#ends.other(from)
    const localSlaves = from.saes.slice(1, 1 + this.#roll(2))
    const remoteSlaves = other.saes.slice(0, 1 + this.#roll(2))
    const remoteKmeId = other.snapshot.identity.kmeId
    const created = { delivery, localSlaves, remoteSlaves, remoteKmeId }
    const [bytes] = await from.commit([created], this.#nowMs)
    if (!bytes) throw new Error('no bytes')
    this.#given.push({ from, delivery, bytes })
  }

  async #confirm(): Promise<void> {
    const from = this.#end()
    const messages = await from.store.listUnconfirmed(LINK, 1 + this.#roll(3))
    if (messages.length === 0) return
    const outcomes = await this.#ends.confirm(from, messages, this.#nowMs)
    for (const [i, message] of messages.entries()) {
      if (outcomes[i]?.outcome === 'refused') {
        const whole = this.#roll(2) === 0
        const { deliveryId } = message
        await from.store.refuseDelivery(from.write, deliveryId, whole, at(this.#nowMs))
      } else if (this.#roll(4) > 0) {
        await from.store.markConfirmed(from.write, [message.deliveryId])
      }
      this.#sent.push({ from, message })
    }
  }

  /** An old message comes once more: it is done already, or refused, and takes nothing new. */
  async #repeat(): Promise<void> {
    const old = this.#sent[this.#roll(this.#sent.length || 1)]
    if (!old) return
    const other = this.#ends.other(old.from)
    const before = (await other.refresh()).lanes
    await this.#ends.confirm(old.from, [old.message], this.#nowMs)
    expect((await other.refresh()).lanes).toEqual(before)
  }

  async #fetch(): Promise<void> {
    for (let i = 0; i < 4; i += 1) await this.#fetchOne()
  }

  async #fetchOne(): Promise<void> {
    // One of the last few, mostly where its slaves are: else there is seldom anything to fetch.
    const given = this.#given.at(-1 - this.#roll(4))
    if (!given) return
    const { delivery, bytes } = given
    const end = this.#roll(4) === 0 ? given.from : this.#ends.other(given.from)
    const sae = end.saes[this.#roll(2)]
    if (!sae) throw new Error('not registered')
    const index = this.#roll(delivery.keyCount)
    const request = { sae, masterSaeId: delivery.master.saeId }
    const keys = [{ deliveryId: delivery.deliveryId, index }]
    const fetched = await end.store.fetchKeys({ ...request, keys }, at(this.#nowMs))
    if (fetched.outcome !== 'fetched') return
    this.fetched += 1
    const start = index * delivery.keyLengthBytes
    expect(fetched.keys).toEqual([bytes.subarray(start, start + delivery.keyLengthBytes)])
    const again = await end.store.fetchKeys({ ...request, keys }, at(this.#nowMs))
    expect(again).toEqual({ outcome: 'not-found' })
  }

  async #drops(): Promise<void> {
    const from = this.#end()
    const drops = await from.store.listPendingDrops(LINK, 10)
    const other = this.#ends.other(from)
    const ranges = drops.map(({ range }) => range)
    const stamp = this.#ends.stamp(from)
    expect(applied(await other.store.applyDrops(LINK, stamp, from.name, ranges))).toBe('done')
    if (this.#roll(2) === 0) await from.store.markDropped(from.write, drops)
  }

  async #expire(): Promise<void> {
    await this.#end().store.expireDeliveries(at(this.#nowMs), 1 + this.#roll(5))
  }

  /** A new life at one end; then hello. */
  async #restart(): Promise<void> {
    const end = this.#end()
    await end.store.beginLife(LINK)
    await end.refresh()
    const { epoch, life } = end.snapshot
    await this.#ends.other(end).store.hearHello(LINK, { epoch, life })
    await this.#ends.greet()
  }

  /** No byte under two deliveries, and both ends hold equal lanes. */
  async finish(): Promise<void> {
    for (const lane of ['verifier', 'follower'] as const) {
      const ranges = this.#given
        .filter(({ delivery }) => delivery.lane === lane)
        .map(({ delivery, bytes }) => ({
          start: delivery.offset,
          end: delivery.offset + bytes.length,
        }))
        .sort((a, b) => a.start - b.start)
      for (const [i, range] of ranges.entries()) {
        expect(range.start).toBeGreaterThanOrEqual(ranges[i - 1]?.end ?? 0)
      }
    }
    const windows = this.#given.map(({ bytes }) => bytes.subarray(0, 8).toString('hex'))
    expect(new Set(windows).size).toBe(windows.length)
    await this.#compareRest()
  }

  /** What is left of a lane, delivered to a slave at the other end, is the same there. */
  async #compareRest(): Promise<void> {
    const { verifier, follower } = this.#ends
    if (verifier.snapshot.lastBatch > 0) await this.#ends.tellClosed(verifier.snapshot.lastBatch)
    for (const from of [verifier, follower]) {
      const offset = await from.nextFree()
      const keyLengthBytes = from.snapshot.lanes[from.name].usableBytes - offset
      if (keyLengthBytes === 0) continue
      const delivery = from.delivery(offset, { keyLengthBytes, timeToLiveMs: 1e9 })
      const other = this.#ends.other(from)
      const slaves = other.saes.slice(0, 1)
      const remoteKmeId = other.snapshot.identity.kmeId
      const created = { delivery, localSlaves: [], remoteSlaves: slaves, remoteKmeId }
      const [bytes] = await from.commit([created])
      expect(await this.#ends.confirm(from, [confirmOf(delivery, slaves)])).toEqual([
        { outcome: 'done' },
      ])
      const [sae] = slaves
      if (!sae) throw new Error('not registered')
      const keys = [{ deliveryId: delivery.deliveryId, index: 0 }]
      const request = { sae, masterSaeId: delivery.master.saeId, keys }
      expect(await other.store.fetchKeys(request, at(1))).toEqual({
        outcome: 'fetched',
        keys: [bytes],
      })
    }
  }
}

export const describeSchedule = (open: OpenStore): void => {
  describe('any order of operations', () => {
    test.each([1, 2, 3])(
      'keeps both ledgers balanced and both lanes equal, gives no byte twice (seed %i)',
      async (seed) => {
        await withEnds(open, async (ends) => {
          const schedule = new Schedule(ends, seed)
          for (let i = 0; i < 200; i += 1) {
            await schedule.step()
            for (const end of ends.both) expect(ledgerDifference(await end.ledger())).toBe(0)
            await ends.check()
          }
          await schedule.finish()
          // Otherwise the run has shown nothing.
          expect(schedule.batches).toBeGreaterThan(3)
          expect(schedule.fetched).toBeGreaterThan(3)
        })
      },
    )
  })
}
