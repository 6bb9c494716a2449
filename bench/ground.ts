import type { DiskSync } from './disk.ts'
import type { Lab } from './lab.ts'
import type { Pace } from './options.ts'
import type { Supply } from './supply.ts'

/** What every part of the benchmark that asks a pair of KMEs stands on. */
export interface Ground {
  readonly lab: Lab
  readonly supply: Supply
  readonly disk: DiskSync
  readonly pace: Pace
  /** Clock ticks per second in which the system counts CPU time. */
  readonly hertz: number
  readonly signal: AbortSignal
}
