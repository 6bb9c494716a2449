import { expect, test } from '@jest/globals'
import { KmeError } from '../../src/errors.ts'
import { keyIdOf, makeDeliveryId } from '../../src/model/key-id.ts'
import { KeyDeliveryWorld } from '../helpers/key-delivery-world.ts'

const deliver = async (world: KeyDeliveryWorld, keyCount = 3): Promise<string[]> => {
  const { deliveryId } = await world.delivery.getKey(world.sae('sae-a'), {
    slaveId: 'sae-b',
    additionalSlaveIds: null,
    keyCount,
    keySizeBits: null,
    maxAgeMs: null,
  })
  return Array.from({ length: keyCount }, (_, i) => keyIdOf(deliveryId, i))
}

const fetch = async (world: KeyDeliveryWorld, keyIds: readonly string[], sae = 'sae-b') =>
  (await world.delivery.fetchKeys(world.sae(sae), { masterId: 'sae-a', keyIds })).keys

test('keys come in the order in which they were asked for', async () => {
  const world = new KeyDeliveryWorld()
  const [first, second, third] = await deliver(world)
  const asked = [third!, first!, second!]
  const keys = await fetch(world, asked)
  expect(keys.map(({ keyId }) => keyId)).toEqual(asked)
  const material = world.here.handedOut[0]!
  expect(keys[0]?.key).toEqual(material.subarray(64, 96))
})

test('a key ID in upper case is the same key ID', async () => {
  const world = new KeyDeliveryWorld()
  const [keyId] = await deliver(world)
  const [key] = await fetch(world, [keyId!.toUpperCase()])
  expect(key?.keyId).toBe(keyId)
  await expect(fetch(world, [keyId!])).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' })
})

test('one and the same key in both cases is asked for twice', async () => {
  const world = new KeyDeliveryWorld()
  const [keyId] = await deliver(world)
  await expect(fetch(world, [keyId!, keyId!.toUpperCase()])).rejects.toMatchObject({
    code: 'BAD_REQUEST',
    message: 'key_IDs shall name no key twice',
  })
})

test('an empty list, too many keys and what is no UUID are refused', async () => {
  const world = new KeyDeliveryWorld()
  const many = await deliver(world, 128)
  const [other] = await deliver(world, 1)
  const lists = [
    [],
    [...many, other!],
    ['not-a-uuid'],
    [`{${other!}}`],
    [other!.replaceAll('-', '')],
  ]
  for (const keyIds of lists) {
    await expect(fetch(world, keyIds)).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  }
  expect(await fetch(world, many)).toHaveLength(128)
})

test('keys of others are refused, and an operator hears of it', async () => {
  const world = new KeyDeliveryWorld()
  const keyIds = await deliver(world)
  await expect(fetch(world, keyIds, 'sae-c')).rejects.toMatchObject({ code: 'UNAUTHORIZED' })
  expect(world.observer.events).toEqual([
    expect.objectContaining({
      name: 'delivery.fetch.unauthorized',
      fields: { sae: 'sae-c', keys: 3 },
    }),
  ])
  expect(await fetch(world, keyIds)).toHaveLength(3)
})

test('a store that returns too few keys is not believed, and what it returned is wiped', async () => {
  const world = new KeyDeliveryWorld()
  const keyIds = await deliver(world)
  const key = Buffer.alloc(32, 7)
  world.store.fetchKeys = async () => ({ outcome: 'fetched', keys: [key] })
  await expect(fetch(world, keyIds)).rejects.toMatchObject({ code: 'INTERNAL' })
  expect(key).toEqual(Buffer.alloc(32))
})

/** A key of a remote master that this KME has not been told of; `bring` is what its link can do. */
const untold = (bring?: (deliveryIds: readonly Buffer[]) => Promise<void>) => {
  const world = new KeyDeliveryWorld()
  if (bring) Object.assign(world.overB, { bring })
  let looks = 0
  const { store } = world
  const look = store.fetchKeys.bind(store)
  store.fetchKeys = (request, moment) => {
    looks += 1
    return look(request, moment)
  }
  const fetchAtSlave = (keyIds: readonly string[]) =>
    world.delivery.fetchKeys(world.sae('sae-a'), { masterId: 'sae-r1', keyIds })
  return { fetchAtSlave, looks: () => looks }
}

const UNTOLD = makeDeliveryId(7, Buffer.alloc(10, 1))
const UNTOLD_KEYS = [keyIdOf(UNTOLD, 0), keyIdOf(UNTOLD, 1)]

test('a miss asks the peer for each delivery once, where keys may be told later, and then looks again', async () => {
  const asked: (readonly Buffer[])[] = []
  const { fetchAtSlave, looks } = untold(async (deliveryIds) => {
    asked.push(deliveryIds)
  })
  await expect(fetchAtSlave(UNTOLD_KEYS)).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' })
  expect(asked).toEqual([[UNTOLD]])
  expect(looks()).toBe(2)
})

test('a miss is no answer while the peer cannot be asked', async () => {
  const { fetchAtSlave } = untold(() =>
    Promise.reject(new KmeError('PEER_UNAVAILABLE', 'nobody answers')),
  )
  await expect(fetchAtSlave(UNTOLD_KEYS)).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' })
})

test('a miss is looked for once where a master waits for this KME', async () => {
  const { fetchAtSlave, looks } = untold()
  await expect(fetchAtSlave(UNTOLD_KEYS)).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' })
  expect(looks()).toBe(1)
})
