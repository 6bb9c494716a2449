import { randomBytes } from 'node:crypto'
import { expect, test } from '@jest/globals'
import type { OwnWrite } from '../../src/ports/lane-store.ts'
import type { RegisteredSae } from '../../src/model/delivery.ts'
import { makeDeliveryId } from '../../src/model/key-id.ts'
import { openSqliteStore } from '../../src/stores/sqlite/sqlite-store.ts'
import type { Store } from '../../src/stores/store.ts'
import { systemRandom } from '../../src/support/system-clock.ts'
import { EPOCH, chunkKey, makeSqliteFixture } from './sqlite-fixture.ts'
import type { SqliteFixture } from './sqlite-fixture.ts'

const NOW = { runningMs: 1, wallMs: 1_800_000_000_000 }
const LINK = { linkId: 'a-b', kmeId: 'kme', peerKmeId: 'kme' }
const KEY_BYTES = 32

const openStore = ({ path, sealing }: SqliteFixture): Promise<Store> =>
  openSqliteStore({ path, sealing, random: systemRandom })

/** A new life of a link of a KME with itself, in its first epoch. */
const begin = async (store: Store): Promise<OwnWrite> => {
  await store.openLink(LINK)
  const { life, generation } = await store.beginLife('a-b')
  const peer = { generation, life, commitCounter: 0 }
  await store.beginEpoch({ linkId: 'a-b', life, epoch: null }, EPOCH, peer)
  return { linkId: 'a-b', life, epoch: EPOCH }
}

const receive = async (store: Store, write: OwnWrite, material: Buffer): Promise<void> => {
  const ref = { deviceId: 'qkd', streamId: 's', vendorId: randomBytes(4).toString('hex') }
  const blocks = [{ ref, material: Buffer.from(material), finding: null }]
  await store.receiveBlocks(write, { deviceId: 'qkd', end: 'both', blocks, checkpoint: null }, NOW)
}

const deliver = async (
  store: Store,
  write: OwnWrite,
  offset: number,
  keyCount: number,
  localSlaves: readonly RegisteredSae[],
  master: RegisteredSae,
): Promise<{ deliveryId: Buffer; bytes: Buffer }> => {
  const deliveryId = makeDeliveryId(offset, randomBytes(10))
  const delivery = {
    deliveryId,
    lane: 'verifier' as const,
    offset,
    keyLengthBytes: KEY_BYTES,
    keyCount,
    master,
    timeToLiveMs: 60_000,
  }
  const created = { delivery, localSlaves, remoteSlaves: [], remoteKmeId: null }
  const [bytes] = await store.commitDeliveries(write, [created], NOW)
  return { deliveryId, bytes: bytes! }
}

/** Whether any 16 bytes in a row of `wanted` lie in `files`. */
const remain = (files: Buffer, wanted: Buffer): boolean => {
  for (let i = 0; i + 16 <= wanted.length; i += 1) {
    if (files.includes(wanted.subarray(i, i + 16))) return true
  }
  return false
}

test('what was delivered and fetched is in no file any more, sealed or not, and what was not is still there', async () => {
  await using fixture = await makeSqliteFixture()
  const material = randomBytes(16_000)
  let store = await openStore(fixture)
  const [master, slave] = (await store.registerSaes(['master', 'slave'])).saes
  const write = await begin(store)
  await receive(store, write, material)
  const kept = await deliver(store, write, 0, 3, [slave!], master!)
  const given = await deliver(store, write, 96, 5, [], master!)
  expect(Buffer.concat([kept.bytes, given.bytes])).toEqual(material.subarray(0, 256))
  await store.close()
  const sealedBefore = fixture.edit((db) =>
    (
      db
        .prepare(
          `SELECT sealed FROM delivery_group WHERE sealed IS NOT NULL
           UNION ALL SELECT sealed FROM chunk`,
        )
        .all() as { sealed: Buffer }[]
    ).map((row) => row.sealed.subarray(10)),
  )
  for (const sealed of sealedBefore) expect(fixture.readFiles().includes(sealed)).toBe(true)

  store = await openStore(fixture)
  const { life } = await store.beginLife('a-b')
  const keys = [0, 1, 2].map((index) => ({ deliveryId: kept.deliveryId, index }))
  const fetched = await store.fetchKeys({ sae: slave!, masterSaeId: 'master', keys }, NOW)
  if (fetched.outcome !== 'fetched') throw new Error(fetched.outcome)
  expect(Buffer.concat(fetched.keys)).toEqual(kept.bytes)
  await deliver(store, { ...write, life }, 256, 4, [], master!)
  await store.close()

  const files = fixture.readFiles()
  // The held row and the first chunk were replaced or deleted; the second chunk was not touched.
  expect(sealedBefore.filter((sealed) => remain(files, sealed)).length).toBe(
    sealedBefore.length - 2,
  )
  expect(remain(files, material)).toBe(false)
  const backend = await fixture.open()
  await backend.transact((tx) => {
    const chunk = tx.readChunk(chunkKey(0))!
    expect(remain(chunk, material.subarray(0, 384))).toBe(false)
    expect(chunk.subarray(384)).toEqual(material.subarray(384, 4000))
  })
  await backend.close()
})

test('an answer that may be asked for again is in no file any more once its window is over and was swept', async () => {
  await using fixture = await makeSqliteFixture()
  const sealedNow = (): readonly Buffer[] =>
    fixture.edit((db) =>
      db
        .prepare<[], { sealed: Buffer }>('SELECT sealed FROM redelivery_material')
        .all()
        .map((row) => row.sealed.subarray(10)),
    )
  let store = await openStore(fixture)
  const [master, slave] = (await store.registerSaes(['master', 'slave'])).saes
  const write = await begin(store)
  await receive(store, write, randomBytes(16_000))
  // More than a page, so that some of it lies in overflow pages.
  const { deliveryId, bytes } = await deliver(store, write, 0, 200, [slave!], master!)
  const keys = Array.from({ length: 200 }, (_, index) => ({ deliveryId, index }))
  const request = { sae: slave!, masterSaeId: 'master', keys, redeliveryWindowMs: () => 100 }
  await store.fetchKeys(request, NOW)
  await store.close()
  const sealed = sealedNow()
  expect(sealed.map(({ length }) => length)).toEqual([bytes.length + 16])
  expect(fixture.readFiles().includes(sealed[0]!.subarray(0, 64))).toBe(true)

  store = await openStore(fixture)
  await store.beginLife('a-b')
  expect(await store.expireDeliveries({ ...NOW, runningMs: NOW.runningMs + 100 }, 10)).toBe(1)
  await store.close()
  expect(sealedNow()).toEqual([])
  const files = fixture.readFiles()
  for (const piece of [sealed[0]!, bytes]) expect(remain(files, piece)).toBe(false)
})
