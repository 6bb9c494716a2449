/** The arithmetic behind every figure of the benchmark. */

const ROUNDING = 1e-6

const ascending = (values: readonly number[]): Float64Array => Float64Array.from(values).sort()

const known = (value: number | undefined): number => {
  if (value === undefined) throw new TypeError('no figures, so no statistics')
  return value
}

/**
 * The nearest-rank percentile: the smallest value that at least `percent` of all values do not
 * exceed. It is always one of the values.
 */
export const percentile = (values: readonly number[], percent: number): number => {
  if (!(percent > 0 && percent <= 100)) throw new TypeError('a percentile is above 0, up to 100')
  const sorted = ascending(values)
  // 99.9 % of 1000 is 999, though not in floating point.
  const rank = Math.ceil((percent / 100) * sorted.length - ROUNDING)
  return known(sorted[Math.max(rank, 1) - 1])
}

/** The middle value; of an even number of values the mean of the two in the middle. */
export const median = (values: readonly number[]): number => {
  const sorted = ascending(values)
  const upper = Math.floor(sorted.length / 2)
  const high = known(sorted[upper])
  return sorted.length % 2 === 1 ? high : (known(sorted[upper - 1]) + high) / 2
}

/** `ours` as a multiple of `reference`; NaN where the reference is 0, for that is no ratio. */
export const ratio = (ours: number, reference: number): number =>
  reference === 0 ? Number.NaN : ours / reference

/** Smallest and largest value. */
export const extent = (values: readonly number[]): readonly [least: number, most: number] => {
  const sorted = ascending(values)
  return [known(sorted[0]), known(sorted.at(-1))]
}
