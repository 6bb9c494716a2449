import { describe, expect, test } from '@jest/globals'
import { totalLengthBytes } from '../../src/model/block.ts'
import {
  blockOf,
  bytesOf,
  IDS,
  LINK,
  refOf,
  TAG,
  withEnds,
  type Ends,
  type OpenStore,
} from './store-ends.ts'

/** Differs from the other end's in its last byte. */
const spoiled = (id: string, lengthBytes: number) => {
  const block = blockOf(id, lengthBytes)
  block.material[lengthBytes - 1] = (block.material[lengthBytes - 1] ?? 0) ^ 1
  return block
}

const takeAll = async (ends: Ends, lane: 'verifier' | 'follower'): Promise<Buffer | undefined> => {
  const end = ends[lane]
  const { usableBytes } = (await end.refresh()).lanes[lane]
  const delivery = end.delivery(0, { keyLengthBytes: usableBytes })
  const remoteKmeId = ends.other(end).snapshot.identity.kmeId
  const [bytes] = await end.commit([{ delivery, localSlaves: [], remoteSlaves: [], remoteKmeId }])
  return bytes
}

export const describeBatches = (open: OpenStore): void => {
  describe('batches', () => {
    test('an equal batch gives half of what is left to each lane, alike at both ends', async () => {
      await withEnds(open, async (ends) => {
        await ends.offerBoth(
          [
            ['b1', 5001],
            ['b2', 4002],
          ],
          40,
        )
        await ends.announceBoth()
        const { decided, closed } = await ends.runBatch()
        const usable = Buffer.concat([bytesOf('b1', 5001), bytesOf('b2', 4002)]).subarray(32)
        const half = Math.floor(usable.length / 2)
        for (const effect of [decided, closed]) {
          expect(effect?.appended).toEqual([
            { lane: 'verifier', start: 0, end: half, receivedMs: 40 },
            { lane: 'follower', start: 0, end: usable.length - half, receivedMs: 40 },
          ])
          expect(effect?.quarantined).toEqual([])
        }
        expect(await takeAll(ends, 'verifier')).toEqual(usable.subarray(0, half))
        expect(await takeAll(ends, 'follower')).toEqual(usable.subarray(half))
      })
    })

    test('the sacrifice spans blocks that are shorter than it', async () => {
      await withEnds(open, async (ends) => {
        await ends.offerBoth([
          ['a', 20],
          ['b', 20],
          ['c', 60],
        ])
        await ends.announceBoth()
        expect((await ends.runBatch()).verdict).toEqual({ outcome: 'equal' })
        expect((await ends.verifier.ledger()).bytes).toMatchObject({ sacrificed: 32, ownLane: 34 })
        const usable = Buffer.concat([bytesOf('b', 20).subarray(12), bytesOf('c', 60)])
        expect(await takeAll(ends, 'verifier')).toEqual(usable.subarray(0, 34))
      })
    })

    test('the follower may use a batch only when it is closed; the next proposal closes it too', async () => {
      await withEnds(open, async (ends) => {
        const { follower, verifier } = ends
        const usable = (): number[] =>
          [verifier, follower].map(({ snapshot }) => snapshot.lanes.follower.usableBytes)
        for (const id of ['b1', 'b2']) {
          await ends.offerBoth([[id, 232]])
          await ends.announceBoth()
          await ends.runBatch({ tell: false })
          expect(usable()).toEqual(id === 'b1' ? [100, 0] : [200, 100])
          expect(verifier.snapshot.closedTold).toBe(false)
        }
        await ends.tellClosed(1)
        await follower.refresh()
        expect(usable()).toEqual([200, 100])
        await ends.tellClosed(2)
        for (const end of ends.both) await end.refresh()
        expect(usable()).toEqual([200, 200])
        expect(verifier.snapshot.closedTold).toBe(true)
        await expect(
          follower.store.applyClosed(LINK, ends.stamp(verifier), 3),
        ).rejects.toMatchObject({ code: 'PROTOCOL' })
      })
    })

    test('a proposal that comes again gets the verdict of the first time and does nothing more', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        await ends.offerBoth([['b', 200]])
        await ends.announceBoth()
        const { pieces } = await ends.runBatch()
        const before = await follower.refresh()
        const send = async (batch: number, tag: Buffer) => {
          const proposal = { batch, pieces, tag }
          const verdict = { outcome: 'unequal' } as const
          const stamp = ends.stamp(verifier)
          return await follower.store.decideProposal(LINK, stamp, proposal, verdict)
        }
        expect(await send(1, TAG)).toEqual({
          kind: 'applied',
          value: { kind: 'verdict', verdict: { outcome: 'equal' }, effect: null },
        })
        expect(await send(1, Buffer.alloc(16))).toMatchObject({ value: { kind: 'refused' } })
        expect(await send(3, TAG)).toMatchObject({ value: { kind: 'refused' } })
        expect(await send(0, TAG)).toMatchObject({ value: { kind: 'refused' } })
        expect((await follower.refresh()).lanes).toEqual(before.lanes)
      })
    })

    test('a verdict that comes again at the verifier changes nothing', async () => {
      await withEnds(open, async (ends) => {
        const { verifier } = ends
        await ends.fill(200)
        const { lanes } = verifier.snapshot
        const again = await verifier.store.closeProposal(verifier.write, 1, { outcome: 'equal' })
        expect(again).toMatchObject({ appended: [], quarantined: [], snapshot: { lanes } })
        await expect(
          verifier.store.closeProposal(verifier.write, 2, { outcome: 'equal' }),
        ).rejects.toThrow(TypeError)
      })
    })

    test('one proposal is open at a time, its numbers follow each other, its bytes are unspent', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        await ends.offerBoth([
          ['b', 500],
          ['tiny', 10],
        ])
        await ends.announceBoth()
        const pieces = await ends.nextPieces()
        const propose = (batch: number, of = pieces) =>
          verifier.store.openProposal(verifier.write, { batch, pieces: of, tag: TAG })
        await expect(propose(2)).rejects.toThrow(TypeError)
        await expect(propose(1, pieces.slice(1))).rejects.toThrow(TypeError)
        await expect(propose(1, [...pieces, ...pieces])).rejects.toThrow(TypeError)
        const moved = pieces.map((p) => ({ ...p, offset: 1, lengthBytes: p.lengthBytes - 1 }))
        await expect(propose(1, moved)).rejects.toMatchObject({ code: 'INTERNAL' })
        await expect(
          follower.store.openProposal(follower.write, { batch: 1, pieces, tag: TAG }),
        ).rejects.toThrow(TypeError)
        await propose(1)
        await expect(propose(2)).rejects.toThrow(TypeError)
        expect((await verifier.refresh()).openProposal).toEqual({ batch: 1, pieces, tag: TAG })
      })
    })

    test('pieces that are no batch are refused by the follower', async () => {
      await withEnds(open, async (ends) => {
        await ends.offerBoth([
          ['b', 500],
          ['tiny', 10],
        ])
        await ends.announceBoth()
        const [b, tiny] = await ends.nextPieces()
        if (!b || !tiny) throw new Error('no pieces')
        for (const pieces of [
          [tiny],
          [b, b],
          [{ ...b, offset: -1 }],
          [{ ...b, lengthBytes: 0.5 }],
          [],
        ]) {
          const decided = await ends.follower.store.decideProposal(
            LINK,
            ends.stamp(ends.verifier),
            { batch: 1, pieces, tag: TAG },
            { outcome: 'equal' },
          )
          expect(decided).toMatchObject({ kind: 'applied', value: { kind: 'refused' } })
        }
        expect((await ends.follower.refresh()).lastBatch).toBe(0)
      })
    })

    test('a differing block in a thousand is found, and it alone is quarantined', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        const ids = Array.from({ length: 1000 }, (_, i) => `b${i}`)
        await verifier.offer(ids.map((id) => blockOf(id, 256)))
        await follower.offer(ids.map((id) => (id === 'b617' ? spoiled(id, 256) : blockOf(id, 256))))
        await ends.announceBoth()
        const quarantined: string[] = []
        for (let rounds = 0; (await ends.nextPieces()).length > 0; rounds += 1) {
          const { closed, decided } = await ends.runBatch()
          expect(decided?.quarantined).toEqual(closed.quarantined)
          quarantined.push(...closed.quarantined.map(({ vendorId }) => vendorId))
          await ends.check()
          if (rounds > 40) throw new Error('the search does not end')
        }
        expect(quarantined).toEqual(['b617'])
        for (const end of ends.both) {
          const { bytes } = await end.ledger()
          expect(bytes.unverified).toBe(0)
          // Some of it may have been sacrificed on the way.
          expect(bytes.quarantined).toBeGreaterThanOrEqual(64)
          expect(bytes.quarantined).toBeLessThanOrEqual(256)
        }
        expect(verifier.snapshot.lanes).toEqual(follower.snapshot.lanes)
      })
    })

    test('a half under 64 bytes is quarantined unchecked, at both ends alike', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        await verifier.offer([blockOf('a', 232), blockOf('b', 40)])
        await follower.offer([blockOf('a', 232), spoiled('b', 40)])
        await ends.announceBoth()
        const { decided, closed } = await ends.runBatch()
        expect(decided?.quarantined).toEqual([refOf('b')])
        expect(closed.quarantined).toEqual([refOf('b')])
        expect((await ends.runBatch()).verdict).toEqual({ outcome: 'equal' })
        expect(await ends.nextPieces()).toEqual([])
        for (const end of ends.both) {
          expect((await end.ledger()).bytes).toMatchObject({ quarantined: 40, sacrificed: 64 })
        }
      })
    })

    test('a block that the follower lost is taken out; the rest is proposed again with fresh bytes', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        await ends.offerBoth([
          ['a', 300],
          ['b', 300],
        ])
        await ends.announceBoth()
        // Lost at the follower: it comes a second time with other bytes there.
        await follower.offer([blockOf('a', 300, 'other')])
        const { verdict, pieces } = await ends.runBatch()
        expect(verdict).toEqual({ outcome: 'lacking', missing: [refOf('a')] })
        expect(totalLengthBytes(pieces)).toBe(600)
        expect((await verifier.ledger()).bytes.sacrificed).toBe(32)
        expect((await follower.ledger()).bytes.sacrificed).toBe(0)
        const rest = await ends.runBatch()
        expect(rest.pieces).toEqual([{ ref: refOf('b'), offset: 0, lengthBytes: 300 }])
        expect(rest.verdict).toEqual({ outcome: 'equal' })
        const asked = await verifier.store.listUnmatched(LINK, 'device/1', 1, 10)
        expect(asked).toEqual([{ ref: refOf('a'), lengthBytes: 300 }])
        const gone = [{ ref: refOf('a'), where: 'gone' }] as const
        await verifier.store.applyWhereabouts(verifier.write, gone)
        expect((await verifier.ledger()).bytes).toMatchObject({ unverified: 0, dropped: 268 })
      })
    })

    test('a verdict cannot be equal where a block has gone since it was compared', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        await ends.offerBoth([
          ['a', 300],
          ['b', 300],
        ])
        await ends.announceBoth()
        const pieces = await ends.nextPieces()
        await follower.offer([blockOf('b', 300, 'other')])
        const proposal = { batch: 1, pieces, tag: TAG }
        await verifier.store.openProposal(verifier.write, proposal)
        const stamp = ends.stamp(verifier)
        const decided = await follower.store.decideProposal(LINK, stamp, proposal, {
          outcome: 'equal',
        })
        expect(decided).toMatchObject({
          value: { verdict: { outcome: 'lacking', missing: [refOf('b')] } },
        })
        expect((await follower.ledger()).bytes).toMatchObject({ sacrificed: 32, ownLane: 0 })
      })
    })

    test('nothing but its verdict ends a block of the open proposal', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        await ends.offerBoth([['a', 300]])
        await ends.announceBoth()
        const pieces = await ends.nextPieces()
        const proposal = { batch: 1, pieces, tag: TAG }
        await verifier.store.openProposal(verifier.write, proposal)
        expect((await verifier.offer([blockOf('a', 300, 'other')])).outcomes).toEqual([
          'quarantined',
        ])
        await verifier.store.applyWhereabouts(verifier.write, [{ ref: refOf('a'), where: 'gone' }])
        await verifier.store.markAnnounced(verifier.write, [], [refOf('a')])
        await follower.store.decideProposal(LINK, ends.stamp(verifier), proposal, {
          outcome: 'equal',
        })
        await verifier.store.closeProposal(verifier.write, 1, { outcome: 'equal' })
        for (const end of ends.both) await end.refresh()
        expect(verifier.snapshot.lanes.verifier.appendedBytes).toBe(134)
        expect(follower.snapshot.lanes.verifier.appendedBytes).toBe(134)
      })
    })

    test('pieces are read from their offset on, and not where they are not as named', async () => {
      await withEnds(open, async (ends) => {
        const { follower } = ends
        await follower.offer([blockOf('a', 100)])
        const read = await follower.store.readPieces(LINK, [
          { ref: refOf('a'), offset: 30, lengthBytes: 70 },
          { ref: refOf('a'), offset: 0, lengthBytes: 99 },
          { ref: refOf('nowhere'), offset: 0, lengthBytes: 100 },
        ])
        expect(read).toEqual([bytesOf('a', 100).subarray(30), null, null])
      })
    })

    test('lanes keep stretches with their age until all of a stretch is consumed', async () => {
      await withEnds(open, async (ends) => {
        const { verifier } = ends
        for (const [i, id] of ['b1', 'b2', 'b3'].entries()) {
          await ends.offerBoth([[id, 232]], i)
          await ends.announceBoth()
          await ends.runBatch()
          const delivery = verifier.delivery(i * 100, { keyLengthBytes: 100 })
          const created = { delivery, localSlaves: [], remoteSlaves: [], remoteKmeId: IDS.follower }
          if (i < 2) await verifier.commit([created])
        }
        const stretches = await verifier.store.listStretches(LINK, 'verifier')
        expect(stretches).toEqual([{ lane: 'verifier', start: 200, end: 300, receivedMs: 2 }])
        expect(await verifier.store.listStretches(LINK, 'follower')).toHaveLength(3)
      })
    })
  })
}
