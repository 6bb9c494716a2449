import { describe, expect, test } from '@jest/globals'
import {
  applied,
  at,
  blockOf,
  bytesOf,
  confirmOf,
  DEVICE,
  End,
  EPOCH,
  IDS,
  LINK,
  refOf,
  withEnds,
  type OpenStore,
} from './store-ends.ts'

const NEXT_EPOCH = { counter: 2, id: 'fedcba9876543210fedcba9876543210' }

export const describeLinks = (open: OpenStore): void => {
  describe('links, lives and epochs', () => {
    test('a link that is opened again is as it was, with the same generation', async () => {
      const { store, dispose } = await open()
      const identity = { linkId: LINK, kmeId: IDS.follower, peerKmeId: IDS.verifier }
      const first = await store.openLink(identity)
      const begun = await store.beginLife(LINK)
      expect(first).toMatchObject({ end: 'follower', life: 0, epoch: null, greeted: false })
      expect(begun).toEqual({ ...first, life: 1 })
      expect(await store.openLink(identity)).toEqual(begun)
      await expect(store.openLink({ ...identity, peerKmeId: 'kme-c' })).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
      })
      await dispose()
    })

    test('a write of an earlier life or another epoch changes nothing', async () => {
      await withEnds(open, async ({ verifier }) => {
        const old = verifier.write
        await verifier.store.beginLife(LINK)
        await verifier.refresh()
        const intake = {
          deviceId: DEVICE,
          end: 'leader',
          blocks: [],
          checkpoint: Buffer.from('c'),
        } as const
        for (const write of [old, { ...verifier.write, epoch: NEXT_EPOCH }]) {
          await expect(verifier.store.receiveBlocks(write, intake, at(0))).rejects.toMatchObject({
            code: 'LIFE_ENDED',
          })
        }
        expect(await verifier.store.readCheckpoint(LINK, DEVICE)).toBeNull()
      })
    })

    test('the commit counter rises with each change of a life that has had its hello, and not before', async () => {
      await withEnds(open, async ({ verifier }) => {
        const { commitCounter } = await verifier.refresh()
        await verifier.offer([blockOf('b', 100)])
        expect((await verifier.refresh()).commitCounter).toBe(commitCounter + 1)
        await verifier.store.readLedger(LINK)
        expect((await verifier.refresh()).commitCounter).toBe(commitCounter + 1)
        await verifier.store.beginLife(LINK)
        await verifier.refresh()
        await verifier.offer([blockOf('c', 100)])
        expect((await verifier.refresh()).commitCounter).toBe(commitCounter + 1)
      })
    })

    test('the standing of the store shows each change, also of a life that has had no hello', async () => {
      await withEnds(open, async ({ verifier }) => {
        const { store } = verifier
        const changes = async () => (await store.readStanding()).links[0]?.changes
        await store.beginLife(LINK)
        await verifier.refresh()
        const before = (await changes()) ?? fail()
        await verifier.offer([blockOf('b', 100)])
        expect(await changes()).toBe(before + 1)
        await store.readLedger(LINK)
        expect(await changes()).toBe(before + 1)
      })
    })

    test('messages of earlier lives and epochs are stale, of later ones to be sent again', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        const blocks = [{ ref: refOf('x'), lengthBytes: 64 }]
        const ask = async (patch: Parameters<typeof ends.stamp>[1]): Promise<string> => {
          const stamp = ends.stamp(verifier, patch)
          return (await follower.store.applyAnnouncement(LINK, stamp, blocks)).kind
        }
        const before = await follower.refresh()
        expect(await ask({ senderLife: 0 })).toBe('stale')
        expect(await ask({ receiverLife: 0 })).toBe('stale')
        expect(await ask({ epoch: { ...EPOCH, counter: 0 } })).toBe('stale')
        expect(await ask({ senderLife: 2 })).toBe('retry')
        expect(await ask({ receiverLife: 2 })).toBe('retry')
        expect(await ask({ epoch: NEXT_EPOCH })).toBe('retry')
        expect(await ask({ epoch: { ...EPOCH, id: NEXT_EPOCH.id } })).toBe('retry')
        expect(await follower.refresh()).toEqual(before)
        expect(await follower.store.listAwaited(LINK, DEVICE, 10)).toEqual([])
        expect(await ask({})).toBe('applied')
      })
    })

    test('the highest commit counter of the peer is kept with what its message changed', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        const tell = (commitCounter: number) =>
          follower.store.applyAnnouncement(LINK, ends.stamp(verifier, { commitCounter }), [])
        applied(await tell(900))
        applied(await tell(800))
        expect((await follower.refresh()).knownOfPeer?.commitCounter).toBe(900)
      })
    })

    test('a question of a later life ends the hello: nothing is applied or allocated until the next', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        await ends.fill(1000)
        const heard = await follower.store.hearHello(LINK, { epoch: EPOCH, life: 5 })
        expect(heard).toMatchObject({ peerLifeRose: true, snapshot: { greeted: false } })
        const stamp = ends.stamp(verifier, { senderLife: 5 })
        expect((await follower.store.applyAnnouncement(LINK, stamp, [])).kind).toBe('retry')
        const delivery = follower.delivery(0)
        const created = { delivery, localSlaves: [], remoteSlaves: [], remoteKmeId: IDS.verifier }
        await expect(follower.commit([created])).rejects.toMatchObject({ code: 'LIFE_ENDED' })
        const again = await follower.store.hearHello(LINK, { epoch: EPOCH, life: 5 })
        expect(again.peerLifeRose).toBe(false)
        const agreement = { adopt: {}, closedBatch: null }
        const late = { ...verifier.self, life: 4 }
        await expect(
          follower.store.applyHello(follower.write, { peer: late, ...agreement }),
        ).rejects.toMatchObject({ code: 'LIFE_ENDED' })
        const peer = { ...verifier.self, life: 5 }
        await follower.store.applyHello(follower.write, { peer, ...agreement })
        expect((await follower.store.applyAnnouncement(LINK, stamp, [])).kind).toBe('applied')
        expect(await follower.commit([created])).toHaveLength(1)
      })
    })

    test('a question that names another epoch, or an earlier life, teaches nothing', async () => {
      await withEnds(open, async ({ follower }) => {
        const before = await follower.refresh()
        for (const told of [
          { epoch: NEXT_EPOCH, life: 9 },
          { epoch: null, life: 9 },
          { epoch: EPOCH, life: 0 },
        ]) {
          const heard = await follower.store.hearHello(LINK, told)
          expect(heard).toEqual({ snapshot: before, peerLifeRose: false })
        }
      })
    })

    test('a hello adopts ranges of the own lane that only the peer knows as consumed, and no others', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        await ends.fill(1000)
        const delivery = verifier.delivery(64)
        const confirm = confirmOf(delivery, [follower.saes[0] ?? delivery.master])
        expect(await ends.confirm(verifier, [confirm])).toEqual([{ outcome: 'done' }])
        const own = follower.delivery(0)
        await follower.commit([
          { delivery: own, localSlaves: [], remoteSlaves: [], remoteKmeId: IDS.verifier },
        ])
        await ends.greet()
        expect(verifier.snapshot.lanes.verifier.consumed).toEqual([{ start: 64, end: 96 }])
        expect(verifier.snapshot.lanes.follower.consumed).toEqual([])
        expect((await verifier.ledger()).bytes.delivered).toBe(32)
        const clash = { delivery: verifier.delivery(64), localSlaves: [], remoteSlaves: [] }
        await expect(
          verifier.commit([{ ...clash, remoteKmeId: IDS.follower }]),
        ).rejects.toMatchObject({ code: 'INTERNAL' })
      })
    })

    test('a hello that tells of consumed bytes no lane has is refused', async () => {
      await withEnds(open, async ({ verifier, follower }) => {
        const adopt = { verifier: [{ start: 0, end: 10 }] }
        await expect(
          verifier.store.applyHello(verifier.write, {
            peer: follower.self,
            adopt,
            closedBatch: null,
          }),
        ).rejects.toMatchObject({ code: 'PROTOCOL' })
      })
    })

    test('an epoch drops lanes, blocks, refs, checkpoints and proposals, and ends open deliveries', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        await ends.fill(1000)
        await ends.offerBoth([['open', 500]])
        await ends.announceBoth()
        const pieces = await ends.nextPieces()
        const tag = Buffer.alloc(16)
        await verifier.store.openProposal(verifier.write, { batch: 2, pieces, tag })
        const intake = {
          deviceId: DEVICE,
          end: 'leader',
          blocks: [],
          checkpoint: Buffer.from('c'),
        } as const
        await verifier.store.receiveBlocks(verifier.write, intake, at(0))
        const held = { delivery: verifier.delivery(0), localSlaves: [verifier.saes[1] ?? fail()] }
        await verifier.commit([{ ...held, remoteSlaves: [], remoteKmeId: IDS.follower }])
        expect(await verifier.store.countUnconfirmed(LINK)).toBe(1)
        await ends.beginEpoch(NEXT_EPOCH)
        expect(verifier.snapshot).toMatchObject({
          epoch: NEXT_EPOCH,
          lastBatch: 0,
          openProposal: null,
        })
        expect(verifier.snapshot.lanes.verifier).toEqual({
          appendedBytes: 0,
          usableBytes: 0,
          consumed: [],
          granted: [],
        })
        expect(await verifier.store.countUnconfirmed(LINK)).toBe(0)
        expect(await verifier.store.readCheckpoint(LINK, DEVICE)).toBeNull()
        expect(await verifier.store.listUnannounced(LINK, 10)).toEqual([])
        expect(await verifier.store.listStretches(LINK, 'verifier')).toEqual([])
        const { bytes } = await verifier.ledger()
        expect(bytes).toMatchObject({
          dropped: 1500 - 32 - 32,
          held: 32,
          sacrificed: 32,
          ownLane: 0,
        })
        const { deliveryId, master } = held.delivery
        const request = { masterSaeId: master.saeId, keys: [{ deliveryId, index: 0 }] }
        const sae = verifier.saes[1] ?? fail()
        expect(await verifier.store.fetchKeys({ sae, ...request }, at(1))).toMatchObject({
          outcome: 'fetched',
        })
        // The same ref names another block now.
        const again = await verifier.offer([blockOf('open', 100, 'other bytes')])
        expect(again.outcomes).toEqual(['stored'])
        await follower.refresh()
      })
    })

    test('a store that becomes restored takes a new generation, once, and ends every life', async () => {
      await withEnds(open, async (ends) => {
        const { follower } = ends
        await ends.fill(1000)
        const { store, snapshot } = follower
        let heard = 0
        const ignore = store.onRestored(() => {
          heard += 1
        })
        await store.becomeRestored(snapshot.generation, at(5))
        await store.becomeRestored(snapshot.generation, at(5))
        ignore()
        expect(heard).toBe(1)
        const standing = await store.readStanding()
        expect(standing.formerGenerations).toEqual([snapshot.generation])
        expect(standing.links).toMatchObject([{ linkId: LINK, life: snapshot.life + 1 }])
        await expect(follower.commit([])).rejects.toMatchObject({ code: 'LIFE_ENDED' })
        expect((await store.applyAnnouncement(LINK, ends.stamp(ends.verifier), [])).kind).toBe(
          'stale',
        )
        const { generation, restored } = await follower.refresh()
        expect({ generation, restored }).toEqual({
          generation: standing.generation,
          restored: true,
        })
        // A link of which the copy that was put back knew nothing may have been used, too.
        const identity = { linkId: 'new', kmeId: IDS.follower, peerKmeId: IDS.verifier }
        expect((await store.openLink(identity)).restored).toBe(true)
      })
    })

    test('a store that becomes restored drops what it holds, and its ledger says so', async () => {
      await withEnds(open, async (ends) => {
        const { verifier } = ends
        await ends.fill(1000)
        const delivery = verifier.delivery(0)
        const created = { delivery, localSlaves: [verifier.saes[1] ?? fail()], remoteSlaves: [] }
        await verifier.commit([{ ...created, remoteKmeId: IDS.follower }])
        await verifier.store.becomeRestored(verifier.snapshot.generation, at(5))
        const { counters, rows } = await verifier.store.recountLedger(LINK)
        expect(counters.bytes).toMatchObject({ held: 0, dropped: 32 })
        expect(rows.held).toBe(0)
        const sae = verifier.saes[1] ?? fail()
        const keys = [{ deliveryId: delivery.deliveryId, index: 0 }]
        const masterSaeId = delivery.master.saeId
        const fetched = await verifier.store.fetchKeys({ sae, masterSaeId, keys }, at(6))
        expect(fetched.outcome).not.toBe('fetched')
        expect((await verifier.store.readAudit(0, 10)).at(-1)?.action).toBe('dropped')
      })
    })

    test('no hello is agreed by a restored store before its next epoch, which ends that', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        await follower.store.becomeRestored(follower.snapshot.generation, at(5))
        await follower.refresh()
        const agreement = { peer: verifier.self, adopt: {}, closedBatch: null }
        const applying = follower.store.applyHello(follower.write, agreement)
        await expect(applying).rejects.toMatchObject({ code: 'LIFE_ENDED' })
        const open = { ...verifier.self, generation: null }
        const begun = await follower.store.beginEpoch(follower.write, NEXT_EPOCH, open, 'both')
        expect(begun).toMatchObject({
          ...{ restored: false, epochAfterRestoreOf: 'both', epochAgreed: false },
          knownOfPeer: open,
        })
        await follower.refresh()
        const greeted = await follower.store.applyHello(follower.write, agreement)
        expect(greeted).toMatchObject({ epochAgreed: true, knownOfPeer: verifier.self })
      })
    })

    test('a device is to be opened afresh once in an epoch after a restore, each end by itself', async () => {
      await withEnds(open, async ({ verifier }) => {
        const { store } = verifier
        const must = (end: 'leader' | 'follower') => store.mustOpenAfresh(LINK, DEVICE, end)
        expect(await must('leader')).toBe(false)
        await store.beginEpoch(verifier.write, NEXT_EPOCH, verifier.self, 'follower')
        await verifier.refresh()
        expect(await must('leader')).toBe(true)
        await store.markOpenedAfresh(verifier.write, DEVICE, 'leader')
        expect([await must('leader'), await must('follower')]).toEqual([false, true])
        const later = { counter: 3, id: NEXT_EPOCH.id }
        await store.beginEpoch(verifier.write, later, verifier.self, 'follower')
        expect(await must('leader')).toBe(true)
      })
    })

    test('a link that was never opened is a mistake of the program', async () => {
      const { store, dispose } = await open()
      await expect(store.readLink('nowhere')).rejects.toThrow(TypeError)
      await dispose()
    })

    test('what was stored is there after closing and opening', async () => {
      const first = await open()
      const second = await open()
      const { Ends } = await import('./store-ends.ts')
      const ends = await Ends.greeted(first.store, second.store)
      await ends.fill(10_000)
      await ends.offerBoth([['later', 300]])
      const kept = await ends.verifier.refresh()
      await ends.verifier.store.saveRunningTime(12_345)
      if (first.reopen) {
        const end = new End('verifier', await first.reopen())
        expect(await end.refresh()).toEqual(kept)
        expect(await end.store.readRunningTime()).toBe(12_345)
        end.saes = ends.verifier.saes
        const created = { delivery: end.delivery(0), localSlaves: [], remoteSlaves: [] }
        const [key] = await end.commit([{ ...created, remoteKmeId: IDS.follower }])
        expect(key).toEqual(bytesOf('fill', 64).subarray(32))
        expect((await end.offer([blockOf('later', 300)])).outcomes).toEqual(['duplicate'])
      }
      await first.dispose()
      await second.dispose()
    })
  })
}

const fail = (): never => {
  throw new Error('not registered')
}
