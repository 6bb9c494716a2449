import { describe, expect, test } from '@jest/globals'
import { EMPTY_RECORD, verifyChain } from '../../src/audit/chain.ts'
import { at, blockOf, IDS, LINK, withEnds, type OpenStore } from './store-ends.ts'

export const describeCommits = (open: OpenStore): void => {
  describe('commits', () => {
    test('operations called together happen in the order of the calls', async () => {
      await withEnds(open, async ({ verifier }) => {
        const { life } = verifier.snapshot
        const calls = [
          verifier.store.readLink(LINK),
          verifier.store.beginLife(LINK),
          verifier.store.readLink(LINK),
        ]
        const lives = (await Promise.all(calls)).map((snapshot) => snapshot.life)
        expect(lives).toEqual([life, life + 1, life + 1])
      })
    })

    test('an operation that fails takes nothing of its neighbours with it', async () => {
      await withEnds(open, async (ends) => {
        const { verifier } = ends
        await ends.fill(20_000)
        const created = [0, 32, 32, 64].map((offset) => ({
          delivery: verifier.delivery(offset),
          localSlaves: verifier.saes.slice(1),
          remoteSlaves: [],
          remoteKmeId: IDS.follower,
        }))
        const results = await Promise.allSettled([
          ...created.map((one) => verifier.commit([one])),
          // One of two is not free: the other does not happen either.
          verifier.commit(
            [verifier.delivery(96), verifier.delivery(0)].map((delivery) => ({
              delivery,
              localSlaves: [],
              remoteSlaves: [],
              remoteKmeId: IDS.follower,
            })),
          ),
          verifier.offer([blockOf('after', 100)]),
        ])
        expect(results.map(({ status }) => status)).toEqual([
          'fulfilled',
          'fulfilled',
          'rejected',
          'fulfilled',
          'rejected',
          'fulfilled',
        ])
        const { lanes } = await verifier.refresh()
        expect(lanes.verifier.consumed).toEqual([{ start: 0, end: 96 }])
        expect((await verifier.ledger()).bytes).toMatchObject({ held: 96, unverified: 100 })
        expect(await verifier.store.countUnconfirmed(LINK)).toBe(3)
        const record = await verifier.store.readAudit(0, 10)
        expect(record).toHaveLength(3)
        // What was undone has left no mark in the chain.
        expect(verifyChain(record, EMPTY_RECORD)).toBe(null)
      })
    })

    test('a thousand calls at once are all done', async () => {
      await withEnds(open, async ({ verifier }) => {
        const calls = Array.from({ length: 1000 }, (_, i) => verifier.offer([blockOf(`b${i}`, 40)]))
        const outcomes = (await Promise.all(calls)).map((received) => received.outcomes[0])
        expect(new Set(outcomes)).toEqual(new Set(['stored']))
        expect((await verifier.ledger()).receivedBytes).toBe(40_000)
      })
    })

    test('running time is kept', async () => {
      await withEnds(open, async ({ verifier }) => {
        expect(await verifier.store.readRunningTime()).toBe(0)
        await verifier.store.saveRunningTime(77)
        expect(await verifier.store.readRunningTime()).toBe(77)
      })
    })

    test('closing finishes what was called before, and refuses what comes after', async () => {
      const { store, dispose } = await open()
      const opening = store.openLink({ linkId: LINK, kmeId: 'a', peerKmeId: 'b' })
      const closing = store.close()
      await expect(store.readLink(LINK)).rejects.toMatchObject({ code: 'STORE_FAILED' })
      expect((await opening).life).toBe(0)
      await closing
      await store.close()
      await expect(store.expireDeliveries(at(0), 1)).rejects.toMatchObject({ code: 'STORE_FAILED' })
      await dispose()
    })
  })
}
