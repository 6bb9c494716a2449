import { describe, expect, test } from '@jest/globals'
import { createCipheriv, randomBytes } from 'node:crypto'
import { proofTag, sameTag } from '../../src/links/equality-proof.ts'

const refOf = (vendorId: string) => ({ deviceId: 'd', streamId: 's', vendorId })
const epoch = { counter: 1, id: 'ab'.repeat(16) }

const batchOf = (materials: readonly Buffer[]) => ({
  linkId: 'link',
  epoch,
  batch: 7,
  pieces: materials.map((material, i) => ({
    ref: refOf(String(i)),
    offset: 0,
    lengthBytes: material.length,
  })),
})

describe('the proof that both ends hold the same bytes', () => {
  test('is the same for the same bytes, however large the pieces', () => {
    const materials = [randomBytes(20), randomBytes(5_000), randomBytes(1)]
    const name = batchOf(materials)
    expect(
      sameTag(
        proofTag(name, materials),
        proofTag(
          name,
          materials.map((material) => Buffer.from(material)),
        ),
      ),
    ).toBe(true)
  })

  test('differs for every single bit that differs, also in the key and past the first 64 bytes', () => {
    const material = randomBytes(300)
    const name = batchOf([material])
    const tag = proofTag(name, [material])
    for (let bit = 0; bit < material.length * 8; bit += 1) {
      const other = Buffer.from(material)
      other[bit >> 3] = (other[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      // Poly1305 clamps 22 bits of r: a difference there changes no tag, and those bytes are spent.
      if (bit >= 256) expect(sameTag(tag, proofTag(name, [other]))).toBe(false)
    }
  })

  test('binds the link, the epoch, the number and each piece', () => {
    const material = randomBytes(100)
    const name = batchOf([material])
    const tag = proofTag(name, [material])
    const piece = { ref: refOf('0'), offset: 0, lengthBytes: 100 }
    const others = [
      { ...name, linkId: 'other' },
      { ...name, epoch: { counter: 2, id: epoch.id } },
      { ...name, epoch: { counter: 1, id: 'cd'.repeat(16) } },
      { ...name, batch: 8 },
      { ...name, pieces: [{ ...piece, ref: refOf('1') }] },
      { ...name, pieces: [{ ...piece, offset: 32 }] },
    ]
    for (const other of others) expect(sameTag(tag, proofTag(other, [material]))).toBe(false)
  })

  test('is Poly1305 under the sacrificed bytes, as OpenSSL computes it inside ChaCha20-Poly1305', () => {
    // Without a plaintext, ChaCha20-Poly1305 is Poly1305 over aad | padding | lengths, under the
    // first 32 bytes of its key stream: here those are the sacrificed bytes, and the batch's name
    // is the aad.
    const key = randomBytes(32)
    const nonce = randomBytes(12)
    const stream = createCipheriv('chacha20', key, Buffer.concat([Buffer.alloc(4), nonce]))
    const oneTimeKey = stream.update(Buffer.alloc(32))
    const contextOf = (lengthBytes: number): Buffer =>
      Buffer.from(JSON.stringify(['link', 1, epoch.id, 7, [['d', 's', '0', 0, lengthBytes]]]))
    const head = Buffer.alloc(8)
    head.writeBigUInt64BE(BigInt(contextOf(48).length))
    const padding = Buffer.alloc((16 - ((8 + contextOf(48).length) % 16)) % 16)
    const aad = Buffer.concat([head, contextOf(32 + padding.length + 16)])
    const lengths = Buffer.alloc(16)
    lengths.writeBigUInt64LE(BigInt(aad.length))
    const material = Buffer.concat([oneTimeKey, padding, lengths])

    const aead = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 })
    aead.setAAD(aad, { plaintextLength: 0 })
    aead.final()
    expect(sameTag(proofTag(batchOf([material]), [material]), aead.getAuthTag())).toBe(true)
  })

  test('is not made of fewer than the 32 bytes that it spends', () => {
    expect(() => proofTag(batchOf([Buffer.alloc(31)]), [Buffer.alloc(31)])).toThrow(TypeError)
  })
})
