import { describe, expect, test } from '@jest/globals'
import type { Delivery } from '../../src/model/delivery.ts'
import type { RangeSet } from '../../src/model/range.ts'
import { LEAST_GRANT_BYTES } from '../../src/model/lane.ts'
import {
  applied,
  at,
  bytesOf,
  confirmOf,
  EPOCH,
  LINK,
  withEnds,
  type End,
  type Ends,
  type OpenStore,
} from './store-ends.ts'

const FILL = 20_032
const HALF = (FILL - 32) / 2
const GRANT = { start: 5000, end: 5000 + LEAST_GRANT_BYTES }
const NEXT_EPOCH = { counter: 2, id: 'fedcba9876543210fedcba9876543210' }

/** What is in the verifier's lane after `fill(FILL)`. */
const laneBytes = (start: number, end: number): Buffer =>
  bytesOf('fill', FILL)
    .subarray(32, 32 + HALF)
    .subarray(start, end)

const give = async ({ verifier }: Ends, range = GRANT): Promise<void> => {
  await verifier.store.commitGrant(verifier.write, { lane: 'verifier', range })
  await verifier.refresh()
}

const tell = async (ends: Ends, ranges: RangeSet = [GRANT], from = ends.verifier) => {
  const { store } = ends.other(from)
  return applied(await store.applyGrants(LINK, ends.stamp(from), 'verifier', ranges))
}

/** Filled lanes, and a grant of the verifier's that the follower has. */
const granted = async (ends: Ends): Promise<void> => {
  await ends.fill(FILL)
  await give(ends)
  await tell(ends)
  await ends.verifier.store.markGranted(ends.verifier.write, [{ lane: 'verifier', range: GRANT }])
  await ends.follower.refresh()
}

const toOther = (ends: Ends, from: End, delivery: Delivery) => {
  const other = ends.other(from)
  const remoteSlaves = other.saes.slice(0, 1)
  const remoteKmeId = other.snapshot.identity.kmeId
  return { delivery, localSlaves: [], remoteSlaves, remoteKmeId }
}

const inGrant = (end: End, offset = GRANT.start, options: Partial<Delivery> = {}): Delivery =>
  end.delivery(offset, { lane: 'verifier', ...options })

export const describeGrants = (open: OpenStore): void => {
  describe('grants', () => {
    test('a granted range is the grantee’s to allocate from, and both ends get the same bytes of it', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        await granted(ends)
        for (const end of ends.both) {
          const { bytes } = await end.ledger()
          const rest = end === verifier ? bytes.ownLane : bytes.otherLane
          expect({ granted: bytes.granted, rest }).toEqual({ granted: 4096, rest: HALF - 4096 })
        }
        await ends.check()
        const delivery = inGrant(follower, GRANT.start + 10, { keyCount: 3 })
        const [bytes] = await follower.commit([toOther(ends, follower, delivery)])
        expect(bytes).toEqual(laneBytes(GRANT.start + 10, GRANT.start + 106))
        const told = await follower.store.listUnconfirmed(LINK, 10)
        expect(await ends.confirm(follower, told)).toEqual([{ outcome: 'done' }])
        expect(await ends.confirm(follower, told)).toEqual([{ outcome: 'done' }])
        const [sae] = verifier.saes
        if (!sae) throw new Error('not registered')
        const keys = [{ deliveryId: delivery.deliveryId, index: 1 }]
        const request = { sae, masterSaeId: delivery.master.saeId, keys }
        expect(await verifier.store.fetchKeys(request, at(1))).toEqual({
          outcome: 'fetched',
          keys: [bytes?.subarray(32, 64)],
        })
        expect((await verifier.ledger()).bytes).toMatchObject({
          granted: 4096 - 96,
          held: 64,
          delivered: 32,
        })
        expect((await follower.ledger()).bytes).toMatchObject({
          granted: 4096 - 96,
          delivered: 96,
        })
        const [a, b] = [await verifier.refresh(), await follower.refresh()]
        expect(a.lanes).toEqual(b.lanes)
      })
    })

    test('is durable, and owed to the peer until it has answered', async () => {
      await withEnds(open, async (ends) => {
        const { verifier } = ends
        await ends.fill(FILL)
        const grant = { lane: 'verifier', range: GRANT } as const
        const snapshot = await verifier.store.commitGrant(verifier.write, grant)
        expect(snapshot.lanes.verifier.granted).toEqual([GRANT])
        expect(await verifier.store.listPendingGrants(LINK, 10)).toEqual([grant])
        await verifier.store.markGranted(verifier.write, [grant])
        expect(await verifier.store.listPendingGrants(LINK, 10)).toEqual([])
        expect(await verifier.refresh()).toMatchObject({
          lanes: { verifier: { granted: [GRANT] } },
        })
      })
    })

    test('an owner gives only what is usable, free and long enough, and once', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        await ends.fill(FILL)
        await verifier.commit([toOther(ends, verifier, verifier.delivery(0))])
        await give(ends)
        const before = await verifier.refresh()
        const wrong = [
          ['verifier', 0, 4096],
          ['verifier', 40, 40 + LEAST_GRANT_BYTES - 1],
          ['verifier', 4000, 9000],
          ['verifier', 9096, 10_001],
          ['verifier', -1, 4500],
          ['follower', 0, 4096],
        ] as const
        for (const [lane, start, end] of wrong) {
          await expect(
            verifier.store.commitGrant(verifier.write, { lane, range: { start, end } }),
          ).rejects.toMatchObject({ code: 'INTERNAL' })
        }
        expect(await verifier.refresh()).toEqual(before)
        expect(await verifier.store.listPendingGrants(LINK, 10)).toHaveLength(1)
        await follower.store.beginLife(LINK)
        await verifier.store.hearHello(LINK, { epoch: EPOCH, life: 9 })
        const late = { lane: 'verifier', range: { start: 100, end: 4200 } } as const
        await expect(verifier.store.commitGrant(verifier.write, late)).rejects.toMatchObject({
          code: 'LIFE_ENDED',
        })
      })
    })

    test('what is granted the owner never allocates any more, and the grantee nothing else', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        await granted(ends)
        const refused = [
          [verifier, GRANT.start],
          [verifier, GRANT.start - 31],
          [verifier, GRANT.end - 1],
          [follower, GRANT.start - 1],
          [follower, GRANT.end - 31],
          [follower, 0],
        ] as const
        for (const [end, offset] of refused) {
          const created = toOther(ends, end, inGrant(end, offset))
          await expect(end.commit([created])).rejects.toMatchObject({ code: 'INTERNAL' })
        }
        const created = toOther(ends, follower, inGrant(follower, GRANT.end - 32))
        await follower.commit([created])
        await expect(
          follower.commit([toOther(ends, follower, inGrant(follower, GRANT.end - 32))]),
        ).rejects.toMatchObject({ code: 'INTERNAL' })
      })
    })

    test('a confirm in a grant is the grantee’s alone, one outside it the owner’s alone', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        await granted(ends)
        const outcome = async (from: End, offset: number): Promise<string> => {
          const slaves = ends.other(from).saes.slice(0, 1)
          const [answer] = await ends.confirm(from, [confirmOf(inGrant(from, offset), slaves)])
          return answer?.outcome ?? ''
        }
        expect(await outcome(verifier, GRANT.start)).toBe('refused')
        expect(await outcome(verifier, GRANT.end - 1)).toBe('refused')
        expect(await outcome(follower, GRANT.start - 1)).toBe('refused')
        expect(await outcome(follower, 0)).toBe('refused')
        expect(await outcome(verifier, 0)).toBe('done')
        expect(await outcome(follower, GRANT.start)).toBe('done')
      })
    })

    test('a grant that comes again, early or late, gives nothing that was used meanwhile', async () => {
      await withEnds(open, async (ends) => {
        const { follower } = ends
        await granted(ends)
        const delivery = inGrant(follower, GRANT.start, { keyCount: 2 })
        await follower.commit([toOther(ends, follower, delivery)])
        const again = await tell(ends)
        expect(again).toMatchObject({ added: [], stretches: [] })
        const left = [{ start: GRANT.start + 64, end: GRANT.end }]
        expect((await follower.refresh()).lanes.verifier.granted).toEqual(left)
        const added = await tell(ends, [{ start: 4000, end: GRANT.end }])
        expect(added).toMatchObject({
          added: [{ start: 4000, end: 5000 }],
          stretches: [{ lane: 'verifier', start: 0, end: HALF, receivedMs: 0 }],
        })
      })
    })

    test('a grant of another’s lane, of too little or of what was never appended is refused', async () => {
      await withEnds(open, async (ends) => {
        await ends.fill(FILL)
        const before = (await ends.follower.refresh()).lanes
        for (const [start, end] of [
          [HALF - 4095, HALF + 1],
          [0, LEAST_GRANT_BYTES - 1],
          [-1, 5000],
        ] as const) {
          expect(await tell(ends, [{ start, end }])).toBe('refused')
        }
        expect(await tell(ends, [GRANT], ends.follower)).toBe('refused')
        expect((await ends.follower.refresh()).lanes).toEqual(before)
      })
    })

    test('a grant may come before the batch is told to be closed', async () => {
      await withEnds(open, async (ends) => {
        const { follower } = ends
        await ends.offerBoth([['fill', FILL]])
        await ends.announceBoth()
        await ends.runBatch({ tell: false })
        await give(ends)
        await tell(ends)
        await follower.refresh()
        expect(follower.snapshot.lanes.verifier.usableBytes).toBe(0)
        const [bytes] = await follower.commit([toOther(ends, follower, inGrant(follower))])
        expect(bytes).toEqual(laneBytes(GRANT.start, GRANT.start + 32))
      })
    })

    test('whoever allocates tells of drops: the grantee in its grant, the owner outside it', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        await granted(ends)
        const drop = async (from: End, start: number, end: number) =>
          applied(
            await ends
              .other(from)
              .store.applyDrops(LINK, ends.stamp(from), 'verifier', [{ start, end }]),
          )
        expect(await drop(verifier, 4999, 5001)).toBe('refused')
        expect(await drop(follower, 4999, 5001)).toBe('refused')
        expect(await drop(follower, 5000, 5100)).toBe('done')
        expect(await drop(follower, 5000, 5100)).toBe('done')
        expect((await verifier.ledger()).bytes).toMatchObject({ dropped: 100, granted: 3996 })
        expect(await drop(verifier, 0, 5000)).toBe('done')
        expect((await follower.ledger()).bytes).toMatchObject({ dropped: 5000, granted: 4096 })
      })
    })

    test('after a crash the grantee adopts use of its grant, and the owner of the rest of its lane', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        await granted(ends)
        // Confirmed, and the commits here were lost.
        const lost = [
          [follower, GRANT.start + 100],
          [verifier, 200],
        ] as const
        for (const [from, offset] of lost) {
          const slaves = ends.other(from).saes.slice(0, 1)
          await ends.confirm(from, [confirmOf(inGrant(from, offset), slaves)])
        }
        await ends.greet()
        const [a, b] = [await verifier.refresh(), await follower.refresh()]
        expect(a.lanes).toEqual(b.lanes)
        expect(a.lanes.verifier.consumed).toEqual([
          { start: 200, end: 232 },
          { start: GRANT.start + 100, end: GRANT.start + 132 },
        ])
        expect((await verifier.ledger()).bytes).toMatchObject({ delivered: 32, held: 32 })
        expect((await follower.ledger()).bytes).toMatchObject({ delivered: 32, held: 32 })
      })
    })

    test('neither end adopts what the other has allocated: confirms tell of it', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        await granted(ends)
        await follower.commit([toOther(ends, follower, inGrant(follower))])
        await verifier.commit([toOther(ends, verifier, verifier.delivery(0))])
        await ends.greet()
        expect((await verifier.refresh()).lanes.verifier).toMatchObject({
          consumed: [{ start: 0, end: 32 }],
          granted: [GRANT],
        })
        expect((await follower.refresh()).lanes.verifier).toMatchObject({
          consumed: [{ start: GRANT.start, end: GRANT.start + 32 }],
        })
        for (const end of ends.both) {
          const told = await end.store.listUnconfirmed(LINK, 10)
          expect(await ends.confirm(end, told)).toEqual([{ outcome: 'done' }])
        }
      })
    })

    test('aged bytes are dropped by whoever allocates them, and by nobody else', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        await granted(ends)
        const aged = (end: End, start: number, stop: number) =>
          end.store.dropAged(end.write, [{ lane: 'verifier', range: { start, end: stop } }])
        for (const [end, start, stop] of [
          [verifier, 4999, 5001],
          [follower, 4999, 5001],
          [follower, 0, 32],
          [verifier, 9990, 10_001],
        ] as const) {
          await expect(aged(end, start, stop)).rejects.toMatchObject({ code: 'INTERNAL' })
          expect(await end.store.listPendingDrops(LINK, 10)).toEqual([])
        }
        await aged(verifier, 0, 4000)
        await aged(follower, 5000, 6000)
        for (const end of ends.both) {
          const pending = await end.store.listPendingDrops(LINK, 10)
          const ranges = pending.map(({ range }) => range)
          const stamp = ends.stamp(end)
          const { store } = ends.other(end)
          expect(applied(await store.applyDrops(LINK, stamp, 'verifier', ranges))).toBe('done')
        }
        for (const end of ends.both) {
          expect((await end.ledger()).bytes).toMatchObject({ dropped: 5000, granted: 3096 })
        }
        const [a, b] = [await verifier.refresh(), await follower.refresh()]
        expect(a.lanes).toEqual(b.lanes)
      })
    })

    test('ends with its epoch', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        await ends.fill(FILL)
        await give(ends)
        await tell(ends)
        await ends.beginEpoch(NEXT_EPOCH)
        expect(await verifier.store.listPendingGrants(LINK, 10)).toEqual([])
        for (const end of [verifier, follower]) {
          expect(end.snapshot.lanes.verifier.granted).toEqual([])
          expect((await end.ledger()).bytes).toMatchObject({ granted: 0, dropped: FILL - 32 })
        }
      })
    })
  })
}
