import { describe, expect, test } from '@jest/globals'
import { EMPTY_RECORD, verifyChain } from '../../src/audit/chain.ts'
import type { AuditAction } from '../../src/ports/audit.ts'
import type { Delivery, RegisteredSae } from '../../src/model/delivery.ts'
import type { FetchedKeys } from '../../src/ports/delivery-store.ts'
import {
  applied,
  at,
  bytesOf,
  confirmOf,
  IDS,
  LINK,
  withEnds,
  type End,
  type Ends,
  type OpenStore,
} from './store-ends.ts'

const FILL = 20_032

/** What is in the verifier's lane after `fill(FILL)`. */
const laneBytes = (start: number, end: number): Buffer =>
  bytesOf('fill', FILL)
    .subarray(32, 32 + (FILL - 32) / 2)
    .subarray(start, end)

const remote = (delivery: Delivery, remoteSlaves: readonly RegisteredSae[]) => ({
  delivery,
  localSlaves: [] as readonly RegisteredSae[],
  remoteSlaves,
  remoteKmeId: IDS.follower,
})

const fetchAt = (
  end: End,
  sae: RegisteredSae | undefined,
  delivery: Delivery,
  indexes: readonly number[],
  nowMs = 1,
): Promise<FetchedKeys> => {
  if (!sae) throw new Error('not registered')
  const keys = indexes.map((index) => ({ deliveryId: delivery.deliveryId, index }))
  return end.store.fetchKeys({ sae, masterSaeId: delivery.master.saeId, keys }, at(nowMs))
}

/** Lanes filled, one delivery of `options` committed at the verifier and confirmed at the follower. */
const delivered = async (
  ends: Ends,
  options: Partial<Delivery>,
  slaves: readonly RegisteredSae[],
): Promise<Delivery> => {
  const { verifier } = ends
  await ends.fill(FILL)
  const delivery = verifier.delivery(0, options)
  await verifier.commit([remote(delivery, slaves)])
  expect(await ends.confirm(verifier, [confirmOf(delivery, slaves)])).toEqual([{ outcome: 'done' }])
  await verifier.store.markConfirmed(verifier.write, [delivery.deliveryId])
  return delivery
}

export const describeDeliveries = (open: OpenStore): void => {
  describe('deliveries', () => {
    test('master and slave get the same bytes, once, and then they are nowhere', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        await ends.fill(FILL)
        const delivery = verifier.delivery(3990, { keyCount: 3 })
        const slaves = follower.saes.slice(0, 1)
        const [bytes] = await verifier.commit([remote(delivery, slaves)])
        expect(bytes).toEqual(laneBytes(3990, 3990 + 96))
        expect(await verifier.store.listUnconfirmed(LINK, 10)).toEqual([
          confirmOf(delivery, slaves),
        ])
        await ends.confirm(verifier, await verifier.store.listUnconfirmed(LINK, 10))
        await verifier.store.markConfirmed(verifier.write, [delivery.deliveryId])
        expect(await verifier.store.listUnconfirmed(LINK, 10)).toEqual([])
        expect((await follower.ledger()).bytes).toMatchObject({ held: 96 })
        const fetched = await fetchAt(follower, slaves[0], delivery, [2, 0])
        expect(fetched).toEqual({
          outcome: 'fetched',
          keys: [bytes?.subarray(64, 96), bytes?.subarray(0, 32)],
        })
        expect((await follower.ledger()).bytes).toMatchObject({ held: 32, delivered: 64 })
        for (const indexes of [[2], [0], [1, 0], [1, 1], [3]]) {
          expect(await fetchAt(follower, slaves[0], delivery, indexes)).toEqual({
            outcome: 'not-found',
          })
        }
        expect(await fetchAt(follower, slaves[0], delivery, [1])).toMatchObject({
          outcome: 'fetched',
        })
        expect((await follower.ledger()).bytes).toMatchObject({ held: 0, delivered: 96 })
      })
    })

    test('consecutive ranges across chunks give every byte once', async () => {
      await withEnds(open, async (ends) => {
        const { verifier } = ends
        await ends.fill(FILL)
        const got: Buffer[] = []
        for (const lengths of [
          [32, 3967],
          [1, 1, 3998],
          [1, 2000],
        ]) {
          let offset = await verifier.nextFree()
          const deliveries = lengths.map((keyLengthBytes) => {
            const delivery = verifier.delivery(offset, { keyLengthBytes })
            offset += keyLengthBytes
            return remote(delivery, [])
          })
          got.push(...(await verifier.commit(deliveries)))
          await ends.check()
        }
        expect(Buffer.concat(got)).toEqual(laneBytes(0, 10_000))
      })
    })

    test('ranges that are not free are refused, and nothing of their commit happens', async () => {
      await withEnds(open, async (ends) => {
        const { verifier } = ends
        await ends.fill(FILL)
        const first = verifier.delivery(100)
        await verifier.commit([remote(first, [])])
        const before = await verifier.refresh()
        const wrong: Partial<Delivery>[] = [
          { offset: 100 },
          { offset: 131 },
          { offset: 69 },
          { offset: 9_990 },
          { offset: -1 },
          { lane: 'follower', offset: 0 },
          { offset: 500, keyCount: 0 },
          { offset: 500, keyLengthBytes: 0.5 },
          { offset: 500, deliveryId: first.deliveryId },
          { offset: 0 },
        ]
        for (const options of wrong) {
          const pair = [verifier.delivery(0), verifier.delivery(0, options)].map((d) =>
            remote(d, []),
          )
          await expect(verifier.commit(pair)).rejects.toMatchObject({ code: 'INTERNAL' })
        }
        expect(await verifier.refresh()).toEqual(before)
        expect(await verifier.store.countUnconfirmed(LINK)).toBe(1)
      })
    })

    test('two slaves fetch each key once each; its bytes stay until the second has them', async () => {
      await withEnds(open, async (ends) => {
        const { follower } = ends
        const delivery = await delivered(ends, { keyCount: 2 }, follower.saes)
        const [one, two] = follower.saes
        const first = await fetchAt(follower, one, delivery, [0, 1])
        expect((await follower.ledger()).bytes).toMatchObject({ held: 64, delivered: 0 })
        expect(await fetchAt(follower, one, delivery, [0])).toEqual({ outcome: 'not-found' })
        expect(await fetchAt(follower, two, delivery, [0, 1])).toEqual(first)
        expect((await follower.ledger()).bytes).toMatchObject({ held: 0, delivered: 64 })
      })
    })

    test('an SAE that was not named is told so before anything else, and another master is not found', async () => {
      await withEnds(open, async (ends) => {
        const { follower } = ends
        const [named, other] = follower.saes
        const delivery = await delivered(ends, { keyCount: 2 }, [named ?? delivery0()])
        expect(await fetchAt(follower, other, delivery, [0])).toEqual({ outcome: 'unauthorized' })
        const impostor = { saeId: named?.saeId ?? '', registrationId: 'f'.repeat(32) }
        expect(await fetchAt(follower, impostor, delivery, [0])).toEqual({
          outcome: 'unauthorized',
        })
        const unknown = { deliveryId: Buffer.alloc(16, 0x40), index: 0 }
        const known = { deliveryId: delivery.deliveryId, index: 0 }
        const ask = (
          sae: RegisteredSae | undefined,
          keys: readonly (typeof known)[],
          master = 'verifier-1',
        ) => follower.store.fetchKeys({ sae: sae ?? delivery0(), masterSaeId: master, keys }, at(1))
        expect(await ask(other, [unknown, known])).toEqual({ outcome: 'unauthorized' })
        expect(await ask(named, [unknown, known])).toEqual({ outcome: 'not-found' })
        expect(await ask(named, [known], 'verifier-2')).toEqual({ outcome: 'not-found' })
        expect(await ask(named, [known])).toMatchObject({ outcome: 'fetched' })
      })
    })

    test('a confirm that comes again is done again, and applied once', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        const slaves = follower.saes.slice(0, 1)
        const delivery = await delivered(ends, {}, slaves)
        const before = await follower.ledger()
        expect(await ends.confirm(verifier, [confirmOf(delivery, slaves)])).toEqual([
          { outcome: 'done' },
        ])
        await fetchAt(follower, slaves[0], delivery, [0])
        expect(await ends.confirm(verifier, [confirmOf(delivery, slaves)])).toEqual([
          { outcome: 'done' },
        ])
        expect(await fetchAt(follower, slaves[0], delivery, [0])).toEqual({ outcome: 'not-found' })
        expect((await follower.ledger()).receivedBytes).toBe(before.receivedBytes)
      })
    })

    test('a confirm that contradicts another delivery is refused with an alarm, which stays as it is', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        const slaves = follower.saes.slice(0, 1)
        const delivery = await delivered(ends, {}, slaves)
        const again = confirmOf(verifier.delivery(16), slaves)
        const sameId = confirmOf({ ...delivery, keyCount: 2 }, slaves)
        const [range, id] = await ends.confirm(verifier, [again, sameId])
        expect(range).toMatchObject({ outcome: 'refused', conflict: true })
        expect(id).toMatchObject({ outcome: 'refused', conflict: true })
        expect(await fetchAt(follower, slaves[0], delivery, [0])).toMatchObject({
          outcome: 'fetched',
        })
      })
    })

    test('a confirm that the sender may not make is refused and retains nothing; its neighbours are applied', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        await ends.fill(FILL)
        const slaves = follower.saes.slice(0, 1)
        const stranger = { saeId: 'stranger', registrationId: '0'.repeat(32) }
        const good = confirmOf(verifier.delivery(0), slaves)
        const bad = [
          confirmOf(verifier.delivery(64, { lane: 'follower' }), slaves),
          confirmOf(verifier.delivery(9_990), slaves),
          confirmOf(verifier.delivery(64, { master: stranger }), slaves),
          confirmOf(verifier.delivery(64), [stranger]),
          confirmOf(verifier.delivery(64), [...slaves, ...slaves]),
          confirmOf(verifier.delivery(64, { keyCount: 5000 }), slaves),
          confirmOf(verifier.delivery(64, { timeToLiveMs: Number.NaN }), slaves),
          confirmOf(verifier.delivery(64, { deliveryId: Buffer.alloc(3) }), slaves),
        ]
        const outcomes = await ends.confirm(verifier, [...bad, good])
        for (const outcome of outcomes.slice(0, -1)) {
          expect(outcome).toMatchObject({ outcome: 'refused', conflict: false })
        }
        expect(outcomes.at(-1)).toEqual({ outcome: 'done' })
        expect((await follower.refresh()).lanes.verifier.consumed).toEqual([{ start: 0, end: 32 }])
      })
    })

    test('a refusal while the call waits ends the delivery whole; the range is dropped at both ends', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        await ends.fill(FILL)
        const delivery = verifier.delivery(0)
        const local = verifier.saes.slice(1)
        await verifier.commit([{ ...remote(delivery, []), localSlaves: local }])
        const refuse = () =>
          verifier.store.refuseDelivery(verifier.write, delivery.deliveryId, true, at(2))
        await refuse()
        await refuse()
        expect(await fetchAt(verifier, local[0], delivery, [0])).toEqual({ outcome: 'not-found' })
        expect((await verifier.ledger()).bytes).toMatchObject({
          dropped: 32,
          held: 0,
          delivered: 0,
        })
        const drops = await verifier.store.listPendingDrops(LINK, 10)
        expect(drops).toEqual([{ lane: 'verifier', range: { start: 0, end: 32 } }])
        const ranges = drops.map(({ range }) => range)
        const tell = async () =>
          applied(await follower.store.applyDrops(LINK, ends.stamp(verifier), 'verifier', ranges))
        expect(await tell()).toBe('done')
        expect(await tell()).toBe('done')
        await verifier.store.markDropped(verifier.write, drops)
        expect(await verifier.store.listPendingDrops(LINK, 10)).toEqual([])
        expect((await follower.ledger()).bytes.dropped).toBe(32)
      })
    })

    test('a refusal that nobody waits for ends only the part of the peer', async () => {
      await withEnds(open, async (ends) => {
        const { verifier } = ends
        await ends.fill(FILL)
        const delivery = verifier.delivery(0)
        const local = verifier.saes.slice(1)
        const created = remote(delivery, ends.follower.saes.slice(0, 1))
        await verifier.commit([{ ...created, localSlaves: local }])
        await verifier.store.refuseDelivery(verifier.write, delivery.deliveryId, false, at(2))
        expect(
          (await verifier.store.readAudit(1, 10)).map(({ action, saes }) => [action, saes]),
        ).toEqual([['refused', ['follower-1']]])
        expect(await verifier.store.listUnconfirmed(LINK, 10)).toEqual([])
        expect(await verifier.store.listPendingDrops(LINK, 10)).toHaveLength(1)
        expect(await fetchAt(verifier, local[0], delivery, [0])).toMatchObject({
          outcome: 'fetched',
        })
      })
    })

    test('a drop takes what no delivery holds, of the lane of its sender only', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        const slaves = follower.saes.slice(0, 1)
        const delivery = await delivered(ends, { offset: 32 }, slaves)
        const drop = async (lane: 'verifier' | 'follower', start: number, end: number) =>
          applied(
            await follower.store.applyDrops(LINK, ends.stamp(verifier), lane, [{ start, end }]),
          )
        expect(await drop('follower', 0, 10)).toBe('refused')
        for (const [start, end] of [
          [0, 10_001],
          [-1, 5],
          [5, 5],
          [0.5, 2],
        ] as const) {
          expect(await drop('verifier', start, end)).toBe('refused')
        }
        expect(await drop('verifier', 0, 5000)).toBe('done')
        expect((await follower.ledger()).bytes).toMatchObject({ dropped: 4968, held: 32 })
        expect(await fetchAt(follower, slaves[0], delivery, [0])).toMatchObject({
          outcome: 'fetched',
        })
      })
    })

    test('what nobody fetched in time expires, and what was never acknowledged is to be dropped', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        const slaves = follower.saes.slice(0, 1)
        const delivery = await delivered(ends, { keyCount: 2, timeToLiveMs: 50 }, slaves)
        await fetchAt(follower, slaves[0], delivery, [0])
        await verifier.commit([remote(verifier.delivery(64, { timeToLiveMs: 70 }), slaves)])
        expect(await follower.store.nextExpiry()).toBe(50)
        expect(await fetchAt(follower, slaves[0], delivery, [1], 50)).toEqual({
          outcome: 'not-found',
        })
        expect(await follower.store.expireDeliveries(at(49), 10)).toBe(0)
        expect(await follower.store.expireDeliveries(at(50), 10)).toBe(1)
        expect(await follower.store.nextExpiry()).toBeNull()
        expect((await follower.ledger()).bytes).toMatchObject({
          held: 0,
          delivered: 32,
          expired: 32,
        })
        expect(await verifier.store.expireDeliveries(at(1000), 1)).toBe(1)
        expect(await verifier.store.listPendingDrops(LINK, 10)).toEqual([])
        expect(await verifier.store.expireDeliveries(at(1000), 1)).toBe(1)
        expect(await verifier.store.listPendingDrops(LINK, 10)).toEqual([
          { lane: 'verifier', range: { start: 64, end: 96 } },
        ])
        expect(await verifier.store.listUnconfirmed(LINK, 10)).toEqual([])
        expect((await verifier.ledger()).bytes.delivered).toBe(96)
      })
    })

    test('each change of a delivery is recorded, in one row without gaps and without key bytes', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        const slaves = follower.saes.slice(0, 1)
        const delivery = await delivered(ends, { keyCount: 2 }, slaves)
        await fetchAt(follower, slaves[0], delivery, [1])
        await follower.store.expireDeliveries(at(5000), 10)
        const common = {
          linkId: LINK,
          deliveryId: delivery.deliveryId.toString('hex'),
          keySizeBits: 256,
          master: 'verifier-1',
        }
        const saes = ['follower-1']
        const first = { ...common, sequence: 1, atMs: at(0).wallMs, keyCount: 2, saes }
        expect(await verifier.store.readAudit(0, 10)).toEqual([chained(first, 'delivered')])
        const entries = await follower.store.readAudit(0, 10)
        const second = { ...common, sequence: 2, atMs: at(1).wallMs, keyCount: 1, saes }
        const third = { ...common, sequence: 3, atMs: at(5000).wallMs, keyCount: 2, saes: [] }
        expect(entries).toEqual([
          chained(first, 'held'),
          chained(second, 'fetched'),
          chained(third, 'expired'),
        ])
        expect(verifyChain(entries, EMPTY_RECORD)).toBe(null)
        expect(await follower.store.readAudit(1, 1)).toEqual([entries[1]])
        expect(await follower.store.readAudit(3, 10)).toEqual([])
      })
    })
  })
}

const chained = (facts: object, action: AuditAction): object => ({
  ...facts,
  action,
  chain: expect.any(Buffer),
})

const delivery0 = (): never => {
  throw new Error('not registered')
}
