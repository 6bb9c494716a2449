import type { CaseResult } from './cases.ts'
import type { IntakeResult } from './fill.ts'
import type { HandshakeResult } from './handshakes.ts'
import type { Machine } from './machine.ts'
import type { ManyKeysResult } from './many-keys.ts'
import type { MemoryResult } from './memory.ts'
import type { OpenLoopResult } from './open-loop.ts'
import type { PoolResult, StartResult } from './pool.ts'
import type { SimulatorResult } from './simulator.ts'
import type { StallResult } from './stalls.ts'
import type { StormResult } from './storm.ts'

/** What was measured; null or empty is what was not asked for. */
export interface Findings {
  cases: readonly CaseResult[]
  manyKeys: ManyKeysResult | null
  openLoop: readonly OpenLoopResult[]
  handshakes: HandshakeResult | null
  storm: StormResult | null
  /** Into lanes that hold few and very many keys. */
  intake: readonly IntakeResult[]
  pool: PoolResult | null
  start: StartResult | null
  memory: MemoryResult | null
  simulator: SimulatorResult | null
  stalls: readonly StallResult[]
}

/** Everything that a run found; also its JSON. */
export interface Results extends Readonly<Findings> {
  readonly startedAt: string
  readonly seconds: number
  readonly command: string
  readonly machine: Machine
}

export const nothingFound = (): Findings => ({
  cases: [],
  manyKeys: null,
  openLoop: [],
  handshakes: null,
  storm: null,
  intake: [],
  pool: null,
  start: null,
  memory: null,
  simulator: null,
  stalls: [],
})

/** Whatever counted its requests and its errors. */
interface Counted {
  readonly errors: number
  readonly firstError: string | null
  readonly requests?: number
}

const countedIn = (found: Findings): readonly Counted[] => [
  ...found.cases.flatMap(({ kme, bare }) => [...kme, ...bare]),
  ...(found.manyKeys ? [...found.manyKeys.one, ...found.manyKeys.many] : []),
  ...found.openLoop.flatMap(({ kme, bare }) => [kme, bare]),
  ...(found.handshakes ? [...found.handshakes.kme, ...found.handshakes.bare] : []),
  ...(found.storm ? [found.storm.kme, found.storm.bare] : []),
  ...(found.pool ? [...found.pool.few, ...found.pool.many] : []),
]

export const errorsIn = (found: Findings): number =>
  countedIn(found).reduce((sum, { errors }) => sum + errors, 0)

export const firstErrorIn = (found: Findings): string | null =>
  countedIn(found).find(({ firstError }) => firstError !== null)?.firstError ?? null

export const requestsIn = (found: Findings): number =>
  countedIn(found).reduce((sum, { requests = 0 }) => sum + requests, 0)
