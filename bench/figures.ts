import type { Slice } from './load.ts'
import { median } from './statistics.ts'

/** Three figures, whatever the size: `0.213`, `21.3`, `2130`. */
export const threeFigures = (value: number): string => {
  if (!Number.isFinite(value)) return '–'
  if (value >= 100) return String(Math.round(value))
  return value.toPrecision(3)
}

export const middle = (slices: readonly Slice[], of: (slice: Slice) => number): number =>
  median(slices.map(of))

/** Per request, of all processes that served it. */
export const cpuUsOf = (slice: Slice): number =>
  slice.cpuUsPerRequest.reduce((sum, us) => sum + us, 0)
