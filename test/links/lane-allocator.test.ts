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

  test('takes nothing that was retired for its age, and hands it out to be dropped, each byte once', () => {
    const stretches = [
      { lane: 'verifier' as const, start: 0, end: 5000, receivedMs: 2_000 },
      { lane: 'verifier' as const, start: 5000, end: 9000, receivedMs: 1_000 },
      { lane: 'verifier' as const, start: 9000, end: 9500, receivedMs: 9_000 },
    ]
    const state = { appendedBytes: 9500, usableBytes: 9500, consumed: [], granted: [] }
    const lane = new LaneAllocator('verifier', state, stretches)
    lane.retire(1_000)
    expect(lane.freeBytes).toBe(9500)
    lane.retire(1_001)
    expect(lane.freeBytes).toBe(5500)
    expect(lane.oldestMs).toBe(2_000)
    expect(lane.take(at(0, 4990))).toMatchObject({ range: { start: 0, end: 4990 } })
    lane.retire(5_000)
    expect(lane.takeAged(1000)).toEqual([{ start: 4990, end: 5990 }])
    expect(lane.takeAged(100_000)).toEqual([{ start: 5990, end: 9000 }])
    expect(lane.takeAged(100_000)).toEqual([])
    expect(lane.take(at(0, 500))).toMatchObject({ range: { start: 9000, end: 9500 } })
  })

  test('of the other’s lane takes what was granted, and knows its age', () => {
    const stretches = [
      { lane: 'follower' as const, start: 0, end: 6000, receivedMs: 1_000 },
      { lane: 'follower' as const, start: 6000, end: 20_000, receivedMs: 9_000 },
    ]
    const granted = [{ start: 10_000, end: 15_000 }]
    const state = { appendedBytes: 20_000, usableBytes: 0, consumed: [], granted }
    const lane = new LaneAllocator('follower', state, stretches, 'grantee')
    lane.extend(20_000, [])
    expect(lane.freeBytes).toBe(5000)
    lane.addGrant([{ start: 1000, end: 8000 }], stretches)
    expect(lane.take(at(10_000, 32, 5_000)).outcome).toBe('too-old')
    lane.retire(5_000)
    expect(lane.takeAged(100_000)).toEqual([{ start: 1000, end: 6000 }])
    expect(lane.take(at(10_000, 32, 5_000))).toMatchObject({ range: { start: 6000 } })
    expect(lane.take(at(10_000, 5000, 5_000))).toMatchObject({ range: { start: 10_000 } })
  })

  test('gives from the end of what is free, and keeps the rest', () => {
    const state = { appendedBytes: 50_000, usableBytes: 50_000, consumed: [], granted: [] }
    const lane = new LaneAllocator('verifier', state, [])
    const first = lane.takeForGrant(10_000)
    expect(first).toEqual({ start: 40_448, end: 50_000 })
    expect(lane.takeForGrant(1)).toEqual({ start: 40_448 - 4096, end: 40_448 })
    expect(lane.freeBytes).toBe(40_448 - 4096)
    expect(lane.takeForGrant(1_000_000)).toEqual({ start: 0, end: 40_448 - 4096 })
    expect(lane.takeForGrant(4096)).toBeNull()
  })
})
