import { describe, expect, test } from '@jest/globals'
import {
  addRange,
  addRanges,
  contains,
  coveredBytes,
  isRangeSet,
  missingFrom,
  overlaps,
  removeRange,
  type Range,
  type RangeSet,
} from '../../src/model/range.ts'

const SIZE = 40

/** Small numbers that are the same in every run (mulberry32). */
const dice = (seed: number) => {
  let state = seed
  return (sides: number): number => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % sides
  }
}

const rangeFrom = (roll: (sides: number) => number): Range => {
  const start = roll(SIZE)
  return { start, end: Math.min(SIZE, start + roll(12)) }
}

/** The plain way to hold a set: one truth per offset. */
const marksOf = (set: RangeSet): boolean[] =>
  Array.from({ length: SIZE }, (_, i) => set.some(({ start, end }) => start <= i && i < end))

const indexesOf = ({ start, end }: Range): number[] =>
  Array.from({ length: Math.max(0, end - start) }, (_, i) => start + i)

describe('range sets', () => {
  test('do what a plain set of offsets does, whatever is added and removed', () => {
    const roll = dice(11)
    let set: RangeSet = []
    const marks = marksOf([])
    for (let i = 0; i < 3000; i += 1) {
      const range = rangeFrom(roll)
      const adds = roll(2) === 0
      set = adds ? addRange(set, range) : removeRange(set, range)
      for (const index of indexesOf(range)) marks[index] = adds
      expect(marksOf(set)).toEqual(marks)
      expect(isRangeSet(set, SIZE)).toBe(true)
      expect(coveredBytes(set)).toBe(marks.filter(Boolean).length)
    }
  })

  test('tell what of a range is in them and what is not', () => {
    const roll = dice(12)
    for (let i = 0; i < 2000; i += 1) {
      const set = addRanges([], [rangeFrom(roll), rangeFrom(roll), rangeFrom(roll)])
      const range = rangeFrom(roll)
      const marks = marksOf(set)
      const inside = indexesOf(range).filter((index) => marks[index])
      const outside = indexesOf(range).filter((index) => !marks[index])
      expect(missingFrom(set, range).flatMap(indexesOf)).toEqual(outside)
      expect(overlaps(set, range) && inside.length === 0).toBe(
        range.end === range.start && overlaps(set, range),
      )
      if (range.end > range.start) {
        expect(overlaps(set, range)).toBe(inside.length > 0)
        expect(contains(set, range)).toBe(outside.length === 0)
      }
    }
  })

  test('join ranges that touch, and know no empty ones', () => {
    expect(
      addRanges(
        [],
        [
          { start: 4, end: 6 },
          { start: 0, end: 2 },
          { start: 2, end: 4 },
        ],
      ),
    ).toEqual([{ start: 0, end: 6 }])
    expect(addRange([], { start: 3, end: 3 })).toEqual([])
    expect(contains([], { start: 3, end: 3 })).toBe(true)
  })

  test('are refused where they are out of order, touch, are empty or go past the limit', () => {
    const illegal: RangeSet[] = [
      [
        { start: 5, end: 6 },
        { start: 1, end: 2 },
      ],
      [
        { start: 1, end: 2 },
        { start: 2, end: 3 },
      ],
      [{ start: 1, end: 1 }],
      [{ start: -1, end: 1 }],
      [{ start: 1, end: 11 }],
      [{ start: Number.NaN, end: 2 }],
    ]
    for (const set of illegal) expect(isRangeSet(set, 10)).toBe(false)
    expect(
      isRangeSet(
        [
          { start: 0, end: 1 },
          { start: 2, end: 10 },
        ],
        10,
      ),
    ).toBe(true)
  })
})
