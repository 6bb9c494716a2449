import { describe, expect, test } from '@jest/globals'
import type { Store } from '../../src/stores/store.ts'
import type { IntakeBlock, OwnWrite } from '../../src/ports/lane-store.ts'
import { at, blockOf, bytesOf, checkLedger, EPOCH, refOf, type OpenStore } from './store-ends.ts'

const SELF = 'link-self'
const DEVICE = 'device/1'

interface Self {
  readonly store: Store
  readonly write: OwnWrite
  readonly offer: (
    end: 'leader' | 'follower' | 'both',
    block: IntakeBlock,
  ) => ReturnType<Store['receiveBlocks']>
}

const withSelf = async (open: OpenStore, work: (self: Self) => Promise<void>): Promise<void> => {
  const { store, dispose } = await open()
  try {
    await store.openLink({ linkId: SELF, kmeId: 'kme-a', peerKmeId: 'kme-a' })
    const { life, generation } = await store.beginLife(SELF)
    const peer = { generation, life, commitCounter: 0 }
    await store.beginEpoch({ linkId: SELF, life, epoch: null }, EPOCH, peer)
    const write = { linkId: SELF, life, epoch: EPOCH }
    await store.applyHello(write, { peer, adopt: {}, closedBatch: null })
    await work({
      store,
      write,
      offer: (end, block) =>
        store.receiveBlocks(
          write,
          { deviceId: DEVICE, end, blocks: [block], checkpoint: null },
          at(3),
        ),
    })
    await checkLedger(store, SELF)
  } finally {
    await dispose()
  }
}

export const describeSelfLinks = (open: OpenStore): void => {
  describe('a link of a KME with itself', () => {
    test('appends a block of one source at once, to be allocated from both lanes', async () => {
      await withSelf(open, async ({ store, write, offer }) => {
        const received = await offer('both', blockOf('b', 100))
        expect(received.appended).toEqual([
          { lane: 'verifier', start: 0, end: 50, receivedMs: 3 },
          { lane: 'follower', start: 0, end: 50, receivedMs: 3 },
        ])
        expect((await offer('both', blockOf('b', 100))).outcomes).toEqual(['duplicate'])
        const { saes } = await store.registerSaes(['sae-1', 'sae-2'])
        const [master, slave] = saes
        if (!master || !slave) throw new Error('not registered')
        const delivery = {
          deliveryId: Buffer.alloc(16, 0x40),
          lane: 'follower',
          offset: 0,
          keyLengthBytes: 10,
          keyCount: 2,
          master,
          timeToLiveMs: 10,
        } as const
        const created = { delivery, localSlaves: [slave], remoteSlaves: [], remoteKmeId: null }
        const [bytes] = await store.commitDeliveries(write, [created], at(0))
        expect(bytes).toEqual(bytesOf('b', 100).subarray(50, 70))
        expect(await store.listUnconfirmed(SELF, 10)).toEqual([])
        const fetched = await store.fetchKeys(
          {
            sae: slave,
            masterSaeId: 'sae-1',
            keys: [{ deliveryId: delivery.deliveryId, index: 1 }],
          },
          at(1),
        )
        expect(fetched).toEqual({ outcome: 'fetched', keys: [bytes?.subarray(10)] })
        const ledger = await store.readLedger(SELF)
        expect(ledger.bytes).toMatchObject({ ownLane: 80, otherLane: 0, held: 10, delivered: 10 })
      })
    })

    test('compares what both ends of a device offer, and counts it once', async () => {
      await withSelf(open, async ({ store, offer }) => {
        expect(await offer('leader', blockOf('b', 100))).toMatchObject({
          outcomes: ['stored'],
          appended: [],
        })
        expect((await offer('leader', blockOf('b', 100))).outcomes).toEqual(['duplicate'])
        const second = await offer('follower', blockOf('b', 100))
        expect(second.outcomes).toEqual(['stored'])
        expect(second.appended).toHaveLength(2)
        const ledger = await store.readLedger(SELF)
        expect(ledger).toMatchObject({ receivedBytes: 100, bytes: { ownLane: 100, sacrificed: 0 } })
        expect((await store.readLink(SELF)).lanes.follower.usableBytes).toBe(50)
      })
    })

    test('quarantines what both ends of a device offer with different bytes', async () => {
      await withSelf(open, async ({ store, offer }) => {
        await offer('follower', blockOf('b', 100))
        const second = await offer('leader', blockOf('b', 100, 'other'))
        expect(second).toEqual({
          outcomes: ['quarantined'],
          conflicting: [refOf('b')],
          appended: [],
        })
        expect((await store.readLedger(SELF)).bytes).toMatchObject({ quarantined: 100, ownLane: 0 })
      })
    })

    test('drops a block that one of its ends will never get', async () => {
      await withSelf(open, async ({ store, write, offer }) => {
        await offer('leader', blockOf('b', 100))
        await store.markGone(write, [refOf('b')])
        expect((await store.readLedger(SELF)).bytes).toMatchObject({ dropped: 100, unverified: 0 })
        expect((await offer('follower', blockOf('b', 100))).outcomes).toEqual(['refused'])
      })
    })
  })
}
