import { randomBytes } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { Envelope, SEAL_OVERHEAD_BYTES } from '../../src/sealing/envelope.ts'
import type { StoredDataKey } from '../../src/sealing/envelope.ts'
import type { Sealing } from '../../src/ports/sealing.ts'

const random = { bytes: (length: number): Buffer => randomBytes(length) }

const wrapped = new Map<string, Buffer>()

/** KEKs that are no file, the newest last: keeps what they wrapped, so that the envelope is tested by itself. */
const memorySealing = (...names: readonly string[]): Sealing => {
  const kekIds = names.length > 0 ? names : ['a'.repeat(16)]
  return {
    kekId: kekIds.at(-1)!,
    kekIds,
    wrap: async (dataKey, context) => {
      const token = randomBytes(16)
      wrapped.set(kekIds.at(-1)! + token.toString('hex') + context, Buffer.from(dataKey))
      return token
    },
    unwrap: async (kekId, token, context) => {
      const dataKey = wrapped.get(kekId + token.toString('hex') + context)
      if (dataKey === undefined) throw new Error('another context')
      return Buffer.from(dataKey)
    },
    close: () => {},
  }
}

const life = async (
  sealing: Sealing,
  stored: readonly StoredDataKey[] = [],
  newKeyId = stored.length + 1,
): Promise<{
  envelope: Envelope
  newKey: StoredDataKey
  rewrapped: readonly StoredDataKey[]
}> => {
  const parts = { sealing, random, storeId: 'store', stored, newKeyId }
  const { envelope, wrapped: keys } = await Envelope.create(parts)
  return { envelope, ...keys }
}

const nonceOf = (sealed: Buffer): string => sealed.subarray(0, 10).toString('hex')

describe('the envelope', () => {
  test('opens what it sealed, for the same row only', async () => {
    const { envelope } = await life(memorySealing())
    const sealed = envelope.seal(Buffer.from('forty keys'), 'row 1')
    expect(sealed).toHaveLength(10 + SEAL_OVERHEAD_BYTES)
    expect(envelope.open(sealed, 'row 1').toString()).toBe('forty keys')
    expect(() => envelope.open(sealed, 'row 2')).toThrow(/does not open the sealed row row 2/)
  })

  test('opens nothing in which any bit was flipped', async () => {
    const { envelope } = await life(memorySealing())
    const sealed = envelope.seal(Buffer.from('material'), 'row')
    for (let bit = 0; bit < sealed.length * 8; bit += 1) {
      const flipped = Buffer.from(sealed)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      expect(() => envelope.open(flipped, 'row')).toThrow(
        expect.objectContaining({ code: 'STORE_CORRUPT' }),
      )
    }
    for (let length = 0; length < sealed.length; length += 1) {
      expect(() => envelope.open(sealed.subarray(0, length), 'row')).toThrow(
        expect.objectContaining({ code: 'STORE_CORRUPT' }),
      )
    }
  })

  test('opens what earlier lives sealed and seals under a key of its own', async () => {
    const sealing = memorySealing()
    const first = await life(sealing)
    const old = first.envelope.seal(Buffer.from('kept'), 'row')
    first.envelope.close()
    const second = await life(sealing, [first.newKey])
    expect(second.envelope.open(old, 'row').toString()).toBe('kept')
    const fresh = second.envelope.seal(Buffer.from('kept'), 'row')
    expect(second.envelope.sealingKeyId).not.toBe(first.newKey.id)
    expect(fresh.readUInt32BE(0)).toBe(second.envelope.sealingKeyId)
  })

  test('never uses a nonce twice under one data key, over many lives', async () => {
    const sealing = memorySealing()
    const stored: StoredDataKey[] = []
    const nonces = new Set<string>()
    for (let i = 0; i < 5; i += 1) {
      const { envelope, newKey } = await life(sealing, stored)
      stored.push(newKey)
      for (let n = 0; n < 1000; n += 1) nonces.add(nonceOf(envelope.seal(Buffer.of(n & 255), 'r')))
      envelope.close()
    }
    expect(nonces.size).toBe(5000)
  })

  test('says which KEK a data key needs when it is given another', async () => {
    const { newKey } = await life(memorySealing('1'.repeat(16)))
    await expect(life(memorySealing('2'.repeat(16)), [newKey])).rejects.toMatchObject({
      code: 'SEALING_FAILED',
      message: expect.stringMatching(/wrapped under KEK 1{16}, but the KEK file holds 2{16}/),
    })
  })

  test('wraps under the newest KEK what the former one wrapped, and nothing else', async () => {
    const [former, next] = ['1'.repeat(16), '2'.repeat(16)]
    const first = await life(memorySealing(former))
    const sealed = first.envelope.seal(Buffer.from('kept'), 'row')
    const second = await life(memorySealing(former, next), [first.newKey])
    expect(second.newKey.kekId).toBe(next)
    expect(second.rewrapped).toEqual([{ ...first.newKey, kekId: next, wrapped: expect.anything() }])
    expect(second.envelope.open(sealed, 'row').toString()).toBe('kept')
    const third = await life(memorySealing(next), [...second.rewrapped, second.newKey])
    expect(third.rewrapped).toEqual([])
    expect(third.envelope.open(sealed, 'row').toString()).toBe('kept')
  })

  test('goes on with the keys of another one of its store, and closes that', async () => {
    const sealing = memorySealing()
    const first = await life(sealing)
    const before = first.envelope.seal(Buffer.from('before'), 'row')
    const second = await life(sealing, [first.newKey])
    first.envelope.adopt(second.envelope)
    expect(() => second.envelope.open(before, 'row')).toThrow(TypeError)
    expect(first.envelope.sealingKeyId).toBe(second.newKey.id)
    const after = first.envelope.seal(Buffer.from('after'), 'row')
    expect(after.readUInt32BE(0)).toBe(second.newKey.id)
    expect(first.envelope.open(before, 'row').toString()).toBe('before')
    expect(first.envelope.open(after, 'row').toString()).toBe('after')
    first.envelope.close()
    expect(() => {
      first.envelope.adopt(second.envelope)
    }).toThrow(TypeError)
  })

  test('does not take a data key of another store or another row', async () => {
    const sealing = memorySealing()
    const { newKey } = await life(sealing)
    const other = { sealing, random, storeId: 'other store', stored: [newKey], newKeyId: 2 }
    await expect(Envelope.create(other)).rejects.toThrow()
    await expect(life(sealing, [{ ...newKey, id: 7 }], 8)).rejects.toThrow()
  })

  test('neither seals nor opens once it is closed', async () => {
    const { envelope } = await life(memorySealing())
    const sealed = envelope.seal(Buffer.from('x'), 'row')
    envelope.close()
    expect(() => envelope.seal(Buffer.from('x'), 'row')).toThrow(TypeError)
    expect(() => envelope.open(sealed, 'row')).toThrow(TypeError)
  })
})
