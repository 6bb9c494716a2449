import { describe, expect, test } from '@jest/globals'
import type { GetKeyRequest } from '../../src/delivery/requests.ts'
import { KmeError, type KmeErrorCode } from '../../src/errors.ts'
import { KeyDeliveryWorld } from '../helpers/key-delivery-world.ts'

const ask = (request: Partial<GetKeyRequest> = {}): GetKeyRequest => ({
  slaveId: 'sae-b',
  additionalSlaveIds: null,
  keyCount: null,
  keySizeBits: null,
  maxAgeMs: null,
  ...request,
})

const idsOf = (saes: readonly { readonly saeId: string }[] | undefined) =>
  saes?.map(({ saeId }) => saeId)

const refusal = async (
  world: KeyDeliveryWorld,
  request: Partial<GetKeyRequest>,
  master = 'sae-a',
): Promise<KmeError> => {
  const issuedBefore = world.issued
  const error: unknown = await Promise.resolve()
    .then(() => world.delivery.getKey(world.sae(master), ask(request)))
    .catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(KmeError)
  expect(world.issued).toBe(issuedBefore)
  return error as KmeError
}

describe('a delivery', () => {
  test('is one key of the default size when nothing else is asked for', async () => {
    const world = new KeyDeliveryWorld()
    const keys = await world.delivery.getKey(world.sae('sae-a'), ask())
    expect([keys.keyCount, keys.keyLengthBytes, keys.material.length]).toEqual([1, 32, 32])
  })

  test('names its master and slaves by registration and nothing else', async () => {
    const world = new KeyDeliveryWorld()
    await world.delivery.getKey(world.sae('sae-a'), ask())
    const [request] = world.here.requests
    expect(request?.master).toEqual({ saeId: 'sae-a', registrationId: '0'.repeat(32) })
    expect(request?.localSlaves).toEqual([
      { saeId: 'sae-b', registrationId: '1'.padStart(32, '0') },
    ])
  })

  test('to a remote slave and a local one goes over the link to the remote one', async () => {
    const world = new KeyDeliveryWorld()
    for (const [slaveId, additional] of [
      ['sae-b', 'sae-r1'],
      ['sae-r1', 'sae-b'],
    ] as const) {
      await world.delivery.getKey(
        world.sae('sae-a'),
        ask({ slaveId, additionalSlaveIds: [additional] }),
      )
    }
    expect(world.here.requests).toEqual([])
    expect(world.overB.requests.map(({ localSlaves }) => idsOf(localSlaves))).toEqual([
      ['sae-b'],
      ['sae-b'],
    ])
    expect(world.overB.requests.map(({ remoteSlaves }) => idsOf(remoteSlaves))).toEqual([
      ['sae-r1'],
      ['sae-r1'],
    ])
  })

  test('reaches several slaves of one other KME', async () => {
    const world = new KeyDeliveryWorld()
    const request = ask({ slaveId: 'sae-r2', additionalSlaveIds: ['sae-r1'] })
    await world.delivery.getKey(world.sae('sae-a'), request)
    expect(idsOf(world.overB.requests[0]?.remoteSlaves)).toEqual(['sae-r2', 'sae-r1'])
  })

  test('to slaves of two other KMEs is refused', async () => {
    const error = await refusal(new KeyDeliveryWorld(), {
      slaveId: 'sae-r1',
      additionalSlaveIds: ['sae-b', 'sae-q'],
    })
    expect(error.code).toBe('BAD_REQUEST')
    expect(error.message).toContain('at most one')
  })

  test('to a local slave needs a link of the KME with itself', async () => {
    const world = new KeyDeliveryWorld()
    world.localDestination = null
    expect((await refusal(world, {})).code).toBe('BAD_REQUEST')
    await world.delivery.getKey(world.sae('sae-a'), ask({ slaveId: 'sae-r1' }))
  })

  test('may name its master as slave only where that SAE is registered with loopback', async () => {
    const world = new KeyDeliveryWorld()
    expect((await refusal(world, { slaveId: 'sae-a' })).code).toBe('BAD_REQUEST')
    await world.delivery.getKey(world.sae('sae-loop'), ask({ slaveId: 'sae-loop' }))
    expect(idsOf(world.here.requests[0]?.localSlaves)).toEqual(['sae-loop'])
  })

  test('passes on how old the key may be', async () => {
    const world = new KeyDeliveryWorld()
    await world.delivery.getKey(world.sae('sae-a'), ask({ maxAgeMs: 45_000 }))
    expect(world.here.requests[0]?.maxAgeMs).toBe(45_000)
  })

  test('with fewer bytes than asked for never leaves, and is wiped', async () => {
    const world = new KeyDeliveryWorld()
    const material = Buffer.alloc(31, 7)
    world.here.issue = async () => ({ deliveryId: Buffer.alloc(16), material })
    expect((await refusal(world, {})).code).toBe('INTERNAL')
    expect(material).toEqual(Buffer.alloc(31))
  })
})

describe('a slave that cannot be reached', () => {
  const cases: readonly (readonly [string, string, KmeErrorCode])[] = [
    ['is unknown to every KME', 'sae-nobody', 'SLAVE_UNKNOWN'],
    ['may be at a peer that has told nothing yet', 'sae-late', 'NOT_READY'],
    ['is claimed by two KMEs', 'sae-twice', 'NOT_READY'],
  ]
  test.each(cases)('%s: nothing is issued', async (_, saeId, code) => {
    const world = new KeyDeliveryWorld()
    expect((await refusal(world, { slaveId: saeId })).code).toBe(code)
    const error = await refusal(world, { additionalSlaveIds: ['sae-c', saeId] })
    expect(error.code).toBe(code)
    expect(error.message).toContain('additional_slave_SAE_IDs[1]')
    expect(error.message).not.toContain(saeId)
  })
})

describe('additional slaves are refused where they', () => {
  const cases: readonly (readonly [string, readonly string[], string])[] = [
    ['are an empty list', [], 'at least one'],
    ['have an empty ID', ['sae-c', ''], 'blank'],
    ['have a blank ID', [' \t'], 'blank'],
    ['name the master', ['sae-c', 'sae-a'], 'calling SAE'],
    ['name the slave', ['sae-b'], 'again'],
    ['repeat one', ['sae-c', 'sae-d', 'sae-c'], 'twice'],
    ['are too many', ['sae-c', 'sae-d', 'sae-loop', 'sae-r1'], 'at most 3 SAEs (max_SAE_ID_count)'],
  ]
  test.each(cases)('%s', async (_, additionalSlaveIds, words) => {
    const error = await refusal(new KeyDeliveryWorld(), { additionalSlaveIds })
    expect(error.code).toBe('BAD_REQUEST')
    expect(error.message).toContain('additional_slave_SAE_IDs')
    expect(error.message).toContain(words)
  })

  test('name the master, also where that SAE has loopback', async () => {
    const request = { slaveId: 'sae-b', additionalSlaveIds: ['sae-loop'] }
    const error = await refusal(new KeyDeliveryWorld(), request, 'sae-loop')
    expect(error.code).toBe('BAD_REQUEST')
  })
})

describe('limits of the destination', () => {
  test.each([0, -1, 129, 1.5, Number.POSITIVE_INFINITY])(
    'number %d is refused',
    async (keyCount) => {
      const error = await refusal(new KeyDeliveryWorld(), { keyCount })
      expect(error.code).toBe('BAD_REQUEST')
      expect(error.message).toBe('number shall be an integer from 1 to 128 (max_key_per_request)')
    },
  )

  test.each([0, -8, 56, 4104, 2 ** 53, Number.NaN])('size %d is refused', async (keySizeBits) => {
    const error = await refusal(new KeyDeliveryWorld(), { keySizeBits })
    expect(error.code).toBe('BAD_REQUEST')
    expect(error.message).toBe(
      'size shall be an integer from 64 (min_key_size) to 4096 (max_key_size) bits',
    )
  })

  test.each([1, 65, 255, 257])('size %d is no number of whole bytes', async (keySizeBits) => {
    const error = await refusal(new KeyDeliveryWorld(), { keySizeBits })
    expect(error.message).toBe('size shall be a multiple of 8')
  })

  test('the smallest and the largest request pass', async () => {
    const world = new KeyDeliveryWorld()
    world.here.availableBytes = 1_000_000
    const master = world.sae('sae-a')
    await world.delivery.getKey(master, ask({ keyCount: 1, keySizeBits: 64 }))
    const keys = await world.delivery.getKey(master, ask({ keyCount: 128, keySizeBits: 4096 }))
    expect(keys.material.length).toBe(128 * 512)
  })
})
