import { randomBytes } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import {
  isUuid,
  keyIdOf,
  makeDeliveryId,
  MAX_KEYS_PER_DELIVERY,
  splitKeyId,
} from '../../src/model/key-id.ts'

const VERSION_4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

const risings = [0, 1, 2, 2 ** 31, 2 ** 32, 2 ** 45 - 1, 2 ** 45, 2 ** 46 - 1]

describe('key IDs', () => {
  test('are UUIDs of version 4, and come apart into what they were made of', () => {
    for (const rising of risings) {
      for (const index of [0, 1, 255, 256, 4094, MAX_KEYS_PER_DELIVERY - 1]) {
        const deliveryId = makeDeliveryId(rising, randomBytes(10))
        const keyId = keyIdOf(deliveryId, index)
        expect(keyId).toMatch(VERSION_4)
        expect(splitKeyId(keyId)).toEqual({ deliveryId, index })
        expect(splitKeyId(keyId.toUpperCase())).toEqual({ deliveryId, index })
      }
    }
  })

  test('rise with the counter, whatever is random', () => {
    const ids = risings.map((rising) => makeDeliveryId(rising, randomBytes(10)))
    for (const [i, id] of ids.entries()) {
      const next = ids[i + 1]
      if (next) expect(Buffer.compare(id, next)).toBe(-1)
    }
  })

  test('have 64 random bits beside the counter: each of them is used', () => {
    const zero = makeDeliveryId(0, Buffer.alloc(10))
    const ones = makeDeliveryId(0, Buffer.alloc(10, 0xff))
    let differing = 0
    for (const [i, byte] of zero.entries()) {
      for (let bits = byte ^ (ones[i] ?? 0); bits > 0; bits >>= 1) differing += bits & 1
    }
    expect(differing).toBe(64)
  })

  test('the keys of one delivery differ only in their index', () => {
    const deliveryId = makeDeliveryId(7, randomBytes(10))
    const ids = Array.from({ length: MAX_KEYS_PER_DELIVERY }, (_, i) => keyIdOf(deliveryId, i))
    expect(new Set(ids).size).toBe(MAX_KEYS_PER_DELIVERY)
    expect(new Set(ids.map((id) => id.slice(0, -3))).size).toBe(1)
  })

  test('what is no UUID is refused', () => {
    for (const text of [
      '',
      'x',
      '0'.repeat(32),
      `${keyIdOf(makeDeliveryId(1, randomBytes(10)), 0)}0`,
    ]) {
      expect(isUuid(text)).toBe(false)
      expect(() => splitKeyId(text)).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }))
    }
  })

  test('a counter or randomness out of bounds is a mistake of the program', () => {
    expect(() => makeDeliveryId(2 ** 46, randomBytes(10))).toThrow(TypeError)
    expect(() => makeDeliveryId(0, randomBytes(9))).toThrow(TypeError)
  })
})
