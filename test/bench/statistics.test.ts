import { describe, expect, test } from '@jest/globals'
import { extent, median, percentile, ratio } from '../../bench/statistics.ts'

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => count - i)

describe('percentile', () => {
  test('is the smallest value that so many per cent of all do not exceed', () => {
    expect(percentile(upTo(100), 50)).toBe(50)
    expect(percentile(upTo(100), 99)).toBe(99)
    expect(percentile(upTo(100), 100)).toBe(100)
    expect(percentile(upTo(1000), 99.9)).toBe(999)
    expect(percentile([15, 20, 35, 40, 50], 30)).toBe(20)
    expect(percentile([15, 20, 35, 40, 50], 40)).toBe(20)
    expect(percentile([15, 20, 35, 40, 50], 41)).toBe(35)
  })

  test('of few values is one of them, the largest for the tail', () => {
    expect(percentile([7], 50)).toBe(7)
    expect(percentile([1, 2, 3], 99)).toBe(3)
  })

  test('sorts as numbers and leaves its argument as it was', () => {
    const values = [10, 9, 100, 1]
    expect(percentile(values, 75)).toBe(10)
    expect(values).toEqual([10, 9, 100, 1])
  })

  test('refuses what is no percentage, and nothing at all', () => {
    expect(() => percentile([1], 0)).toThrow(TypeError)
    expect(() => percentile([1], 101)).toThrow(TypeError)
    expect(() => percentile([1], Number.NaN)).toThrow(TypeError)
    expect(() => percentile([], 50)).toThrow(TypeError)
  })
})

describe('median', () => {
  test('is the middle value, of an even number the mean of the two in the middle', () => {
    expect(median([3, 1, 200])).toBe(3)
    expect(median([4, 1, 3, 2])).toBe(2.5)
    expect(median([5])).toBe(5)
    expect(() => median([])).toThrow(TypeError)
  })
})

describe('ratio and extent', () => {
  test('a ratio is ours as a multiple of the reference, and none of a reference of 0', () => {
    expect(ratio(1, 4)).toBe(0.25)
    expect(ratio(4, 1)).toBe(4)
    expect(ratio(1, 0)).toBeNaN()
    expect(ratio(0, 0)).toBeNaN()
  })

  test('an extent is the smallest and the largest value', () => {
    expect(extent([3, 10, 2])).toEqual([2, 10])
    expect(() => extent([])).toThrow(TypeError)
  })
})
