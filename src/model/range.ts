/** Half-open runs of byte offsets, and sorted sets of them: what is consumed of a lane. */

export interface Range {
  readonly start: number
  /** First offset after the range. */
  readonly end: number
}

/** Ranges in rising order, none empty, none touching another. Kept small: a mark and the few above it. */
export type RangeSet = readonly Range[]

export const rangeOf = (start: number, lengthBytes: number): Range => ({
  start,
  end: start + lengthBytes,
})

export const lengthOf = (range: Range): number => range.end - range.start

export const coveredBytes = (set: RangeSet): number =>
  set.reduce((sum, range) => sum + lengthOf(range), 0)

const isEmpty = (range: Range): boolean => range.end <= range.start

/** The set with `range` in it, joined with what it touches. */
export const addRange = (set: RangeSet, range: Range): RangeSet => {
  if (isEmpty(range)) return set
  const before = set.filter((r) => r.end < range.start)
  const after = set.filter((r) => r.start > range.end)
  const touching = set.filter((r) => r.end >= range.start && r.start <= range.end)
  const start = Math.min(range.start, ...touching.map((r) => r.start))
  const end = Math.max(range.end, ...touching.map((r) => r.end))
  return [...before, { start, end }, ...after]
}

export const addRanges = (set: RangeSet, ranges: RangeSet): RangeSet => ranges.reduce(addRange, set)

/** What of `range` is not in the set, in rising order. */
export const missingFrom = (set: RangeSet, range: Range): RangeSet => {
  const missing: Range[] = []
  let from = range.start
  for (const taken of set) {
    if (taken.end <= from || taken.start >= range.end) continue
    if (taken.start > from) missing.push({ start: from, end: taken.start })
    from = Math.max(from, taken.end)
  }
  if (from < range.end) missing.push({ start: from, end: range.end })
  return missing
}

/** What of `range` is in the set, in rising order. */
export const presentIn = (set: RangeSet, range: Range): RangeSet =>
  set
    .map(({ start, end }) => ({
      start: Math.max(start, range.start),
      end: Math.min(end, range.end),
    }))
    .filter((part) => !isEmpty(part))

/** The set without `range`. */
export const removeRange = (set: RangeSet, range: Range): RangeSet =>
  isEmpty(range) ? set : set.flatMap((taken) => missingFrom([range], taken))

export const removeRanges = (set: RangeSet, ranges: RangeSet): RangeSet =>
  ranges.reduce(removeRange, set)

export const overlaps = (set: RangeSet, range: Range): boolean =>
  set.some((taken) => taken.start < range.end && taken.end > range.start)

export const contains = (set: RangeSet, range: Range): boolean =>
  isEmpty(range) || set.some((taken) => taken.start <= range.start && taken.end >= range.end)

/** Whether `ranges` is a legal set whose offsets lie in [0, limit]: what a peer sends is checked with it. */
export const isRangeSet = (ranges: RangeSet, limit = Number.MAX_SAFE_INTEGER): boolean =>
  ranges.every((range, i) => {
    const floor = i === 0 ? 0 : (ranges[i - 1]?.end ?? 0) + 1
    return range.start >= floor && range.end > range.start && range.end <= limit
  })
