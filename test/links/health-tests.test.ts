import { createCipheriv, randomBytes } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { HealthTests } from '../../src/links/health-tests.ts'
import { realRandom } from '../helpers/fake-driver-context.ts'

const KIB = 1024
const MIB = KIB * KIB

const makeTests = () => new HealthTests({ random: realRandom })

/** The same random bytes in every run, so that a test never fails by chance. */
const steadyRandom = (lengthBytes: number, seed = 1): Buffer =>
  createCipheriv('chacha20', Buffer.alloc(32, seed), Buffer.alloc(16)).update(
    Buffer.alloc(lengthBytes),
  )

/** Random bytes of which each bit is a one with the given probability. */
const biased = (lengthBytes: number, ones: number, seed = 2): Buffer => {
  const source = steadyRandom(lengthBytes * 8 * 2, seed)
  const bytes = Buffer.alloc(lengthBytes)
  for (let bit = 0; bit < lengthBytes * 8; bit += 1) {
    if (source.readUInt16BE(bit * 2) / 65_536 < ones) {
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (1 << (bit & 7))
    }
  }
  return bytes
}

describe('health tests', () => {
  test('let random key pass, in blocks of every size', () => {
    const tests = makeTests()
    const key = steadyRandom(24 * MIB)
    for (const size of [8, 32, 33, 511, 4096, 4097, 65_536, MIB]) {
      const end = Math.min(key.length, size * 4000)
      for (let at = 0; at < end; at += size) {
        expect(tests.test(`stream of ${size}`, steadyRandom(0))).toContain('empty')
        break
      }
      const fresh = makeTests()
      for (let at = 0; at + size <= end; at += size) {
        const finding = fresh.test('stream', key.subarray(at, at + size))
        if (finding !== null) throw new Error(`size ${size} at ${at}: ${finding}`)
      }
    }
  })

  test('find an empty block and one of equal bytes', () => {
    const tests = makeTests()
    expect(tests.test('stream', Buffer.alloc(0))).toMatch(/^length/)
    expect(tests.test('stream', Buffer.alloc(32))).toMatch(/^repetition: 9 equal bytes/)
    expect(tests.test('stream', Buffer.alloc(4096, 0xa5))).toMatch(/^repetition/)
  })

  test('find nine equal bytes in the middle of random key, and not eight', () => {
    const key = steadyRandom(64 * KIB)
    key.fill(key[9999] === 7 || key[10_008] === 7 ? 8 : 7, 10_000, 10_008)
    expect(makeTests().test('stream', Buffer.from(key))).toBeNull()
    key.fill(key[10_000]!, 10_000, 10_009)
    expect(makeTests().test('stream', key)).toMatch(/^repetition/)
  })

  test('find a byte value that comes too often within 512 bytes', () => {
    const key = steadyRandom(512)
    const sample = key[0]!
    for (let i = 1; i <= 25; i += 1) key[i * 20] = sample
    expect(makeTests().test('stream', key)).toMatch(/^proportion: one byte value \d+ times in 512/)
  })

  test.each([0.435, 0.44, 0.445])('find a share of ones of %p within a block of 4 KiB', (ones) => {
    expect(makeTests().test('stream', biased(4096, ones))).toMatch(/^monobit: 4\d\.\d\d % ones/)
  })

  test('find such a bias in small blocks once 4 KiB of the stream have come', () => {
    const tests = makeTests()
    const key = biased(4096, 0.44)
    const findings = Array.from({ length: 16 }, (_, i) =>
      tests.test('stream', key.subarray(i * 256, i * 256 + 256)),
    )
    expect(findings.slice(0, 15)).toEqual(Array.from({ length: 15 }, () => null))
    expect(findings[15]).toMatch(/^monobit/)
  })

  test('find a bias of one percent, which no window of 4 KiB shows, in the long window', () => {
    const tests = makeTests()
    const findings = Array.from({ length: 18 }, (_, i) =>
      tests.test('stream', biased(64 * KIB, 0.49, 10 + i)),
    ).filter((finding) => finding !== null)
    expect(findings).toEqual([expect.stringMatching(/^monobit: 49\.\d\d % ones in 1048576 bytes/)])
  })

  test('find balanced bytes that are not random: text in hexadecimal and a counter', () => {
    const hex = Buffer.from(steadyRandom(4096).toString('hex'))
    expect(makeTests().test('stream', hex)).not.toBeNull()
    const counter = Buffer.from(Uint8Array.from({ length: 4096 }, (_, i) => i * 7))
    expect(makeTests().test('stream', counter)).toMatch(/^byte values: chi-square 0/)
  })

  test('find a record of 32 bytes that comes again, in the block or long after', () => {
    const tests = makeTests()
    const key = steadyRandom(64 * KIB)
    expect(tests.test('stream', key)).toBeNull()
    const later = steadyRandom(8 * KIB, 3)
    key.copy(later, 4096, 32_000, 32_032)
    expect(tests.test('stream', later)).toMatch(/^repeated key: 32 bytes/)
    const within = steadyRandom(8 * KIB, 4)
    within.copy(within, 4096, 32, 64)
    expect(tests.test('stream', within)).toMatch(/^repeated key/)
  })

  test('give a block that is offered again the answer of before', () => {
    const tests = makeTests()
    const key = steadyRandom(256)
    for (let i = 0; i < 100; i += 1) expect(tests.test('stream', key, 'block 1')).toBeNull()
    expect(tests.test('stream', key, 'block 2')).toMatch(/^repeated key/)
    expect(tests.test('stream', Buffer.alloc(64), 'block 3')).toMatch(/^repetition/)
    expect(tests.test('stream', Buffer.alloc(64), 'block 3')).toMatch(/^repetition/)
  })

  test('leave the material as it is, wherever it lies in memory', () => {
    const all = steadyRandom(10_001)
    const copy = Buffer.from(all)
    expect(makeTests().test('stream', all.subarray(1))).toBeNull()
    expect(all.equals(copy)).toBe(true)
  })

  test('never say a byte of the key', () => {
    const key = biased(4096, 0.44)
    const finding = makeTests().test('stream', key) ?? ''
    expect(finding).not.toContain(key.subarray(0, 4).toString('hex'))
    expect(finding.split('\n')).toHaveLength(1)
    expect(finding.length).toBeLessThan(120)
  })

  test('keep apart the windows of two streams, and remember only so many', () => {
    const tests = makeTests()
    const key = biased(4096, 0.44)
    for (let i = 0; i < 15; i += 1) tests.test('bad', key.subarray(i * 256, i * 256 + 256))
    expect(tests.test('good', randomBytes(256))).toBeNull()
    for (let i = 0; i < 200; i += 1) tests.test(`stream ${i}`, randomBytes(64))
    expect(tests.test('bad', key.subarray(3840))).toBeNull()
  })
})
