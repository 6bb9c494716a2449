import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { Etsi014Server } from '../helpers/etsi014-server.ts'

let server: Etsi014Server
beforeAll(async () => {
  server = await Etsi014Server.start()
})
afterAll(() => server[Symbol.asyncDispose]())

const status = async () => (await server.as('sae-a')).get('/api/v1/keys/sae-b/status')

test('6.1 status has every member of the standard and the sources of its keys', async () => {
  server.world.here.availableBytes = 320
  expect((await status()).body).toEqual({
    source_KME_ID: 'kme-a',
    target_KME_ID: 'kme-a',
    master_SAE_ID: 'sae-a',
    slave_SAE_ID: 'sae-b',
    key_size: 256,
    stored_key_count: 10,
    max_key_count: 1000,
    max_key_per_request: 128,
    max_key_size: 4096,
    min_key_size: 64,
    max_SAE_ID_count: 3,
    status_extension: { key_sources: ['simulated'] },
  })
})

test('6.1 status has no extension where there is nothing to say in it', async () => {
  server.world.here.sources = []
  expect((await status()).body).not.toHaveProperty('status_extension')
})

test('6.1 the numbers of status never contradict each other', async () => {
  for (const availableBytes of [0, 31, 32, 32_000, 10_000_000_000_000]) {
    server.world.here.availableBytes = availableBytes
    const { body } = await status()
    const { min_key_size, key_size, max_key_size, stored_key_count, max_key_count } = body
    expect(min_key_size).toBeLessThanOrEqual(key_size)
    expect(key_size).toBeLessThanOrEqual(max_key_size)
    expect(stored_key_count).toBeLessThanOrEqual(max_key_count)
    for (const value of Object.values(body).filter((member) => typeof member === 'number')) {
      expect(Number.isInteger(value) && value >= 0 && value < 2 ** 31).toBe(true)
    }
  }
})
