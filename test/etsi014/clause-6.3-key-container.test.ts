import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import {
  deliveredContainer,
  encodeKeyContainer,
  fetchedContainer,
} from '../../src/etsi014/key-container.ts'
import { isUuid, keyIdOf, makeDeliveryId } from '../../src/model/key-id.ts'
import { Etsi014Server, keysOf } from '../helpers/etsi014-server.ts'

let server: Etsi014Server
beforeAll(async () => {
  server = await Etsi014Server.start()
  server.world.here.availableBytes = 1_000_000
})
afterAll(() => server[Symbol.asyncDispose]())

test('6.3 the container holds keys with a UUID and base64 text each, and nothing else', async () => {
  const agent = await server.as('sae-a')
  const { body, headers, text } = await agent.get('/api/v1/keys/sae-b/enc_keys?number=128')
  expect(Object.keys(body)).toEqual(['keys'])
  for (const entry of body.keys) {
    expect(Object.keys(entry)).toEqual(['key_ID', 'key'])
    expect(isUuid(entry.key_ID)).toBe(true)
    expect(entry.key).toMatch(/^[A-Za-z0-9+/]{43}=$/)
  }
  expect(new Set(keysOf(body).map(({ key_ID }) => key_ID)).size).toBe(128)
  expect(Number(headers['content-length'])).toBe(text.length)
})

test('6.3 the container is the JSON that a serialiser makes, for keys of every length', () => {
  const deliveryId = makeDeliveryId(7, randomBytes(10))
  for (let lengthBytes = 1; lengthBytes <= 100; lengthBytes += 1) {
    const keys = [0, 1, 2].map((i) => ({
      key_ID: keyIdOf(deliveryId, i),
      key: randomBytes(lengthBytes),
    }))
    const texts = keys.map(({ key_ID, key }) => ({ key_ID, key: key.toString('base64') }))
    expect(encodeKeyContainer(keys).toString()).toBe(JSON.stringify({ keys: texts }))
  }
})

test('6.3 an extension follows the keys, as a serialiser would write it', () => {
  const key = randomBytes(33)
  const key_ID = keyIdOf(makeDeliveryId(9, randomBytes(10)), 0)
  const extension = { redelivery_window_s: 30 }
  const expected = {
    keys: [{ key_ID, key: key.toString('base64') }],
    key_container_extension: extension,
  }
  expect(encodeKeyContainer([{ key_ID, key }], extension).toString()).toBe(JSON.stringify(expected))
})

test('6.3 keys are wiped once they are encoded', () => {
  const material = randomBytes(64)
  const deliveryId = makeDeliveryId(8, randomBytes(10))
  deliveredContainer({ deliveryId, keyCount: 2, keyLengthBytes: 32, material })
  expect(material).toEqual(Buffer.alloc(64))
  const key = randomBytes(32)
  fetchedContainer({ keys: [{ keyId: keyIdOf(deliveryId, 0), key }], redeliveryWindowMs: 0 })
  expect(key).toEqual(Buffer.alloc(32))
})
