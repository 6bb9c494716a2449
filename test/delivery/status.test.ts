import { expect, test } from '@jest/globals'
import { KeyDelivery } from '../../src/delivery/key-delivery.ts'
import { FakeDestination } from '../helpers/fake-key-source.ts'
import { KeyDeliveryWorld } from '../helpers/key-delivery-world.ts'

test('status tells of the destination that a delivery to that slave would use', () => {
  const world = new KeyDeliveryWorld()
  world.overB.availableBytes = 320
  expect(world.delivery.status(world.sae('sae-a'), 'sae-r1')).toEqual({
    sourceKmeId: 'kme-a',
    targetKmeId: 'kme-b',
    masterId: 'sae-a',
    slaveId: 'sae-r1',
    defaultKeySizeBits: 256,
    minKeySizeBits: 64,
    maxKeySizeBits: 4096,
    storedKeyCount: 10,
    maxKeyCount: 1000,
    maxKeysPerRequest: 128,
    maxAdditionalSlaves: 3,
    provenance: ['simulated'],
  })
  expect(world.delivery.status(world.sae('sae-a'), 'sae-b').targetKmeId).toBe('kme-a')
})

test('the stored count never exceeds the most that can be stored', () => {
  const world = new KeyDeliveryWorld()
  world.here.availableBytes = 32 * 5000
  expect(world.delivery.status(world.sae('sae-a'), 'sae-b').storedKeyCount).toBe(1000)
})

test('counts fit signed 32-bit integers and are integers', () => {
  const world = new KeyDeliveryWorld()
  const limits = { maxKeyCount: 2 ** 40, maxKeysPerRequest: 2 ** 33 }
  const { store, now, observer } = world
  const destination = new FakeDestination({ targetKmeId: 'kme-a', store, now, limits })
  destination.deliverableKeys = () => 2 ** 39 + 0.5
  const directory = { ...world.directory, localDestination: () => destination }
  const delivery = new KeyDelivery({ kmeId: 'kme-a', store, now, observer, directory })
  const status = delivery.status(world.sae('sae-a'), 'sae-b')
  expect(status.storedKeyCount).toBe(2 ** 31 - 1)
  expect(status.maxKeyCount).toBe(2 ** 31 - 1)
  expect(status.maxKeysPerRequest).toBe(4096)
})

test.each(['sae-nobody', 'sae-late', 'sae-twice', 'sae-a'])(
  'there is no status for the slave %s, to whom no key could be delivered',
  (slaveId) => {
    const world = new KeyDeliveryWorld()
    expect(() => world.delivery.status(world.sae('sae-a'), slaveId)).toThrow()
  },
)
