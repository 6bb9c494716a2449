import { describe, expect, test } from '@jest/globals'
import { LaneAllocator } from '../../src/links/lane-allocator.ts'

const at = (nowMs: number, lengthBytes: number, maxAgeMs: number | null = null) => ({
  lengthBytes,
  nowMs,
  maxAgeMs,
})

describe('the allocator of a lane', () => {
  test('takes the oldest free bytes, each once, until the lane is short', () => {
    const lane = new LaneAllocator(
      'verifier',
      { appendedBytes: 100, usableBytes: 100, consumed: [{ start: 0, end: 40 }], granted: [] },
      [],
    )
    expect(lane.take(at(0, 32))).toEqual({ outcome: 'taken', range: { start: 40, end: 72 } })
    expect(lane.take(at(0, 32))).toEqual({ outcome: 'short' })
    expect(lane.take(at(0, 28))).toEqual({ outcome: 'taken', range: { start: 72, end: 100 } })
    expect(lane.freeBytes).toBe(0)
  })

  test('allocates only what is durable at both ends', () => {
    const lane = new LaneAllocator(
      'verifier',
      { appendedBytes: 100, usableBytes: 20, consumed: [], granted: [] },
      [],
    )
    expect(lane.take(at(0, 32)).outcome).toBe('short')
    lane.extend(100, [])
    expect(lane.take(at(0, 32))).toEqual({ outcome: 'taken', range: { start: 0, end: 32 } })
  })

  test('never takes a range that spans consumed bytes, and counts whole keys only', () => {
    const lane = new LaneAllocator(
      'follower',
      { appendedBytes: 100, usableBytes: 100, consumed: [{ start: 30, end: 60 }], granted: [] },
      [],
    )
    expect(lane.countKeys(16)).toBe(1 + 2)
    expect(lane.take(at(0, 40))).toEqual({ outcome: 'taken', range: { start: 60, end: 100 } })
    expect(lane.take(at(0, 16))).toEqual({ outcome: 'taken', range: { start: 0, end: 16 } })
  })

  test('refuses key that is older than asked, and takes nothing then', () => {
    const stretches = [
      { lane: 'verifier' as const, start: 0, end: 50, receivedMs: 1_000 },
      { lane: 'verifier' as const, start: 50, end: 100, receivedMs: 9_000 },
    ]
    const state = { appendedBytes: 100, usableBytes: 100, consumed: [], granted: [] }
    const lane = new LaneAllocator('verifier', state, stretches)
    expect(lane.take(at(10_000, 32, 5_000)).outcome).toBe('too-old')
    expect(lane.freeBytes).toBe(100)
    expect(lane.take(at(10_000, 50)).outcome).toBe('taken')
    expect(lane.take(at(10_000, 32, 5_000))).toEqual({
      outcome: 'taken',
      range: { start: 50, end: 82 },
    })
  })

  test('holds bytes whose age is not known for too old', () => {
    const state = { appendedBytes: 64, usableBytes: 64, consumed: [], granted: [] }
    const lane = new LaneAllocator('verifier', state, [])
    expect(lane.take(at(0, 32, 60_000)).outcome).toBe('too-old')
  })

  test('stays exact over many appends and keys of mixed sizes', () => {
    const lane = new LaneAllocator(
      'verifier',
      { appendedBytes: 0, usableBytes: 0, consumed: [], granted: [] },
      [],
    )
    let usableBytes = 0
    let expectedStart = 0
    for (let round = 0; round < 5_000; round += 1) {
      const start = usableBytes
      usableBytes += 100
      lane.extend(usableBytes, [{ lane: 'verifier', start, end: usableBytes, receivedMs: round }])
      const taken = lane.take(at(round, 8 + (round % 7) * 8, 1_000_000))
      if (taken.outcome !== 'taken') throw new Error(taken.outcome)
      expect(taken.range.start).toBe(expectedStart)
      expectedStart = taken.range.end
    }
    expect(lane.freeBytes).toBe(usableBytes - expectedStart)
  })
})
