import { describe, expect, test } from '@jest/globals'
import {
  applied,
  at,
  blockOf,
  DEVICE,
  EPOCH,
  LINK,
  refOf,
  withEnds,
  type End,
  type OpenStore,
} from './store-ends.ts'

const blockNames = (blocks: readonly { readonly ref: { readonly vendorId: string } }[]): string[] =>
  blocks.map(({ ref }) => ref.vendorId)

const unmatched = async (end: End, beforeMs: number): Promise<string[]> =>
  blockNames(await end.store.listUnmatched(LINK, DEVICE, beforeMs, 10))

export const describeBlocks = (open: OpenStore): void => {
  describe('blocks', () => {
    test('blocks and checkpoint are stored together, and the offered buffers are wiped', async () => {
      await withEnds(open, async ({ verifier }) => {
        const blocks = [blockOf('b1', 100), blockOf('b2', 200)]
        const intake = {
          deviceId: DEVICE,
          end: 'leader',
          blocks,
          checkpoint: Buffer.from('cp'),
        } as const
        const received = await verifier.store.receiveBlocks(verifier.write, intake, at(5))
        expect(received).toEqual({ outcomes: ['stored', 'stored'], conflicting: [], appended: [] })
        expect(blocks.every(({ material }) => material.every((byte) => byte === 0))).toBe(true)
        expect(await verifier.store.readCheckpoint(LINK, DEVICE)).toEqual(Buffer.from('cp'))
        expect(await verifier.store.readCheckpoint(LINK, 'another')).toBeNull()
        expect((await verifier.ledger()).bytes.unverified).toBe(300)
        expect(blockNames(await verifier.store.listUnannounced(LINK, 10))).toEqual(['b1', 'b2'])
      })
    })

    test('buffers are wiped also where nothing was stored', async () => {
      await withEnds(open, async ({ verifier }) => {
        const blocks = [blockOf('b', 50)]
        const intake = { deviceId: DEVICE, end: 'leader', blocks, checkpoint: null } as const
        const write = { ...verifier.write, life: 77 }
        await expect(verifier.store.receiveBlocks(write, intake, at(0))).rejects.toThrow()
        expect(blocks[0]?.material).toEqual(Buffer.alloc(50))
      })
    })

    test('the same bytes again are a duplicate and count once', async () => {
      await withEnds(open, async (ends) => {
        const { verifier } = ends
        const twice = await verifier.offer([blockOf('b', 100), blockOf('b', 100)])
        expect(twice.outcomes).toEqual(['stored', 'duplicate'])
        await ends.follower.offer([blockOf('b', 100)])
        await ends.announceBoth()
        await ends.runBatch()
        expect((await verifier.offer([blockOf('b', 100)])).outcomes).toEqual(['duplicate'])
        expect((await verifier.ledger()).receivedBytes).toBe(100)
      })
    })

    test('other bytes under a known ref quarantine both; a verified one stays what it is', async () => {
      await withEnds(open, async (ends) => {
        const { verifier } = ends
        await ends.fill(100, 'done')
        await verifier.offer([blockOf('b', 100)])
        const again = await verifier.offer([blockOf('b', 100, 'x'), blockOf('done', 90, 'y')])
        expect(again.outcomes).toEqual(['quarantined', 'quarantined'])
        expect(blockNames(again.conflicting.map((ref) => ({ ref })))).toEqual(['b', 'done'])
        const { bytes, receivedBytes } = await verifier.ledger()
        expect(bytes).toMatchObject({ quarantined: 290, unverified: 0, ownLane: 34, otherLane: 34 })
        expect(receivedBytes).toBe(390)
        expect(await verifier.store.listUnannounced(LINK, 10)).toEqual([])
        expect((await verifier.offer([blockOf('b', 100)])).outcomes).toEqual(['quarantined'])
        expect((await verifier.ledger()).receivedBytes).toBe(390)
      })
    })

    test('a block with a finding is quarantined and never announced', async () => {
      await withEnds(open, async ({ verifier }) => {
        const received = await verifier.offer([{ ...blockOf('b', 100), finding: 'biased' }])
        expect(received).toMatchObject({ outcomes: ['quarantined'], conflicting: [] })
        expect(await verifier.store.listUnannounced(LINK, 10)).toEqual([])
        expect((await verifier.ledger()).bytes.quarantined).toBe(100)
      })
    })

    test('refs that differ only in where a slash is are different blocks', async () => {
      await withEnds(open, async ({ verifier }) => {
        const [one] = [blockOf('c', 40)]
        const refs = [refOf('b/c', 'a'), refOf('c', 'a/b')]
        const blocks = refs.map((ref) => ({
          ...one,
          ref,
          finding: null,
          material: Buffer.alloc(40, 1),
        }))
        expect((await verifier.offer(blocks)).outcomes).toEqual(['stored', 'stored'])
      })
    })

    test('a block is announced once, and matched when the peer has announced it too', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        await verifier.offer([blockOf('b1', 300), blockOf('b2', 300)], 10)
        await follower.offer([blockOf('b2', 300)], 20)
        await ends.announce(verifier)
        expect(await verifier.store.listUnannounced(LINK, 10)).toEqual([])
        expect(blockNames(await follower.store.listAwaited(LINK, DEVICE, 10))).toEqual(['b1'])
        expect(await ends.nextPieces()).toEqual([])
        await ends.announce(follower)
        expect(await unmatched(verifier, 1000)).toEqual(['b1'])
        expect(await unmatched(verifier, 10)).toEqual([])
        const limit = { maxBytes: 1000, maxPieces: 10 }
        expect(await verifier.store.listMatched(LINK, limit)).toEqual({
          suspects: [],
          pieces: [{ ref: refOf('b2'), offset: 0, lengthBytes: 300 }],
          oldestReceivedMs: 10,
        })
        await follower.offer([blockOf('b1', 300)])
        expect(await follower.store.listAwaited(LINK, DEVICE, 10)).toEqual([])
        await ends.announce(follower)
        expect(blockNames(await ends.nextPieces())).toEqual(['b1', 'b2'])
        const small = await verifier.store.listMatched(LINK, { maxBytes: 400, maxPieces: 10 })
        expect(blockNames(small.pieces)).toEqual(['b1'])
        const least = await verifier.store.listMatched(LINK, { maxBytes: 1, maxPieces: 10 })
        expect(blockNames(least.pieces)).toEqual(['b1'])
      })
    })

    test('a block of another length at the other end is quarantined at both', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        await verifier.offer([blockOf('b', 100)])
        await follower.offer([blockOf('b', 101)])
        expect(await ends.announce(verifier)).toEqual([refOf('b')])
        for (const [end, bytes] of [
          [verifier, 100],
          [follower, 101],
        ] as const) {
          expect((await end.ledger()).bytes).toMatchObject({ quarantined: bytes, unverified: 0 })
        }
        // The same message once more is answered like the first.
        const blocks = [{ ref: refOf('b'), lengthBytes: 100 }]
        const answer = await follower.store.applyAnnouncement(LINK, ends.stamp(verifier), blocks)
        expect(applied(answer)).toEqual([refOf('b')])
      })
    })

    test('a block that comes with another length than the peer announced is quarantined', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        await verifier.offer([blockOf('b', 100)])
        await ends.announce(verifier)
        const received = await follower.offer([blockOf('b', 60)])
        expect(received).toMatchObject({ outcomes: ['quarantined'], conflicting: [refOf('b')] })
      })
    })

    test('questions: have, on its way, gone; gone is durable and refuses the block', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        await verifier.offer(['have', 'late', 'lost'].map((id) => blockOf(id, 100)))
        await follower.offer([blockOf('have', 100)])
        const questions = [
          { ref: refOf('have'), lengthBytes: 100, mayStillCome: true },
          { ref: refOf('late'), lengthBytes: 100, mayStillCome: true },
          { ref: refOf('lost'), lengthBytes: 100, mayStillCome: false },
        ]
        const ask = async () =>
          applied(await follower.store.answerQuestion(LINK, ends.stamp(verifier), questions))
        expect(await ask()).toEqual(['have', 'on-its-way', 'gone'])
        expect(await ask()).toEqual(['have', 'on-its-way', 'gone'])
        expect(await follower.ledger()).toMatchObject({ gapBlocks: 1, gapBytes: 100 })
        expect((await follower.offer([blockOf('lost', 100)])).outcomes).toEqual(['refused'])
        expect((await follower.ledger()).receivedBytes).toBe(100)
        const answers = questions.map(({ ref }, i) => ({
          ref,
          where: (['have', 'on-its-way', 'gone'] as const)[i] ?? 'gone',
        }))
        const dropped = await verifier.store.applyWhereabouts(verifier.write, answers)
        expect(dropped).toEqual([refOf('lost')])
        expect(blockNames(await ends.nextPieces())).toEqual(['have'])
        expect((await verifier.ledger()).bytes).toMatchObject({ dropped: 100, unverified: 200 })
        expect((await verifier.offer([blockOf('lost', 100)])).outcomes).toEqual(['refused'])
        expect(await verifier.store.applyWhereabouts(verifier.write, answers)).toEqual([])
      })
    })

    test('blocks that the box refuses for good are gone and counted as gaps, once', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        await verifier.offer([blockOf('b', 100)])
        await ends.announce(verifier)
        await follower.store.markGone(follower.write, [refOf('b'), refOf('unknown')])
        await follower.store.markGone(follower.write, [refOf('b')])
        expect(await follower.ledger()).toMatchObject({ gapBlocks: 1, gapBytes: 100 })
        expect(await follower.store.listAwaited(LINK, DEVICE, 10)).toEqual([])
        const question = [{ ref: refOf('b'), lengthBytes: 100, mayStillCome: true }]
        const answer = await follower.store.answerQuestion(LINK, ends.stamp(verifier), question)
        expect(applied(answer)).toEqual(['gone'])
      })
    })

    test('a length that is none breaks the protocol and changes nothing', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        for (const lengthBytes of [0, -1, 1.5, Number.NaN]) {
          const blocks = [
            { ref: refOf('ok'), lengthBytes: 5 },
            { ref: refOf('b'), lengthBytes },
          ]
          await expect(
            follower.store.applyAnnouncement(LINK, ends.stamp(verifier), blocks),
          ).rejects.toMatchObject({ code: 'PROTOCOL' })
        }
        expect(await follower.store.listAwaited(LINK, DEVICE, 10)).toEqual([])
      })
    })

    test('no block is taken before there is an epoch', async () => {
      const { store, dispose } = await open()
      await store.openLink({ linkId: LINK, kmeId: 'a', peerKmeId: 'b' })
      const intake = { deviceId: DEVICE, end: 'leader', blocks: [], checkpoint: null } as const
      const write = { linkId: LINK, life: 0, epoch: null }
      await expect(store.receiveBlocks(write, intake, at(0))).rejects.toMatchObject({
        code: 'NOT_READY',
      })
      await expect(
        store.receiveBlocks({ ...write, epoch: EPOCH }, intake, at(0)),
      ).rejects.toMatchObject({ code: 'LIFE_ENDED' })
      await dispose()
    })
  })
}
