import { describe, expect, test } from '@jest/globals'
import { systemRandom } from '../../src/support/system-clock.ts'

describe('random bytes', () => {
  test('are as many as asked for, and none comes twice, over many pages', () => {
    const seen = new Set<string>()
    for (let i = 0; i < 4000; i += 1) {
      for (const length of [10, 12, 16, 32]) {
        const bytes = systemRandom.bytes(length)
        expect(bytes).toHaveLength(length)
        seen.add(bytes.toString('hex'))
      }
    }
    expect(seen.size).toBe(4 * 4000)
  })

  test('stay with whoever asked for them', () => {
    const first = systemRandom.bytes(16)
    const copy = Buffer.from(first)
    for (let i = 0; i < 600; i += 1) systemRandom.bytes(16)
    expect(first).toEqual(copy)
  })

  test('have every value at every place', () => {
    const counts = new Uint32Array(256)
    for (let i = 0; i < 4096; i += 1) for (const byte of systemRandom.bytes(16)) counts[byte]! += 1
    for (const count of counts) expect(count).toBeGreaterThan(120)
  })
})
