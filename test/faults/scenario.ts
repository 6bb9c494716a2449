import type { Dice } from '../links/chaos/dice.ts'
import type { Violation } from './checker/evidence.ts'
import type { Verdict } from './stage/trial.ts'

/** How much of everything. */
export interface Extent {
  /** The version for each change: fewer and shorter faults, all kinds of them. */
  readonly short: boolean
  /** Kills at random moments. */
  readonly cycles: number
  /** Keys of 256 bits that each link stores before the kills begin; 0: what comes by itself. */
  readonly keys: number
}

export interface Stage {
  readonly dice: Dice
  readonly extent: Extent
  /** Tells what is done: the schedule, one line per fault. */
  readonly note: (line: string) => void
  readonly tally: Tally
}

export interface Scenario {
  readonly name: string
  /** For the table of results. */
  readonly what: string
  readonly run: (stage: Stage) => Promise<void>
}

/** What became of one scenario. */
export class Tally {
  faults = 0
  draws = 0
  fetches = 0
  keys = 0
  /** From the start of what was missing, or from the end of the fault, until both KMEs delivered keys. */
  readonly recoveriesMs: number[] = []
  readonly violations: Violation[] = []

  add({ draws, fetches, keys, violations }: Verdict): void {
    this.draws += draws
    this.fetches += fetches
    this.keys += keys
    this.violations.push(...violations)
  }

  recovered(ms: number): void {
    this.faults += 1
    this.recoveriesMs.push(Math.round(ms))
  }
}
