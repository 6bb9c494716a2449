import { randomBytes } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { Envelope, SEAL_OVERHEAD_BYTES } from '../../src/sealing/envelope.ts'
import type { StoredDataKey } from '../../src/sealing/envelope.ts'
import type { Sealing } from '../../src/ports/sealing.ts'

const random = { bytes: (length: number): Buffer => randomBytes(length) }

/** A KEK that is no file: keeps what it wrapped, so that the envelope is tested by itself. */
const memorySealing = (kekId = 'a'.repeat(16)): Sealing => {
  const wrapped = new Map<string, Buffer>()
  return {
    kekId,
    wrap: async (dataKey, context) => {
      const token = randomBytes(16)
      wrapped.set(token.toString('hex') + context, Buffer.from(dataKey))
      return token
    },
    unwrap: async (token, context) => {
      const dataKey = wrapped.get(token.toString('hex') + context)
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
): Promise<{ envelope: Envelope; newKey: StoredDataKey }> =>
  Envelope.create({ sealing, random, storeId: 'store', stored, newKeyId })

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
