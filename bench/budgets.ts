import type { CaseResult } from './cases.ts'
import { cpuUsOf, middle } from './figures.ts'
import type { OperationName } from './operations.ts'
import type { Findings } from './results.ts'
import { median, ratio } from './statistics.ts'
import type { StallOccasion } from './stalls.ts'

/** What is promised of one kind of work. A figure is judged as it is, not as it is rounded. */
export interface Budget {
  readonly name: string
  /** What the figure is, in one line. */
  readonly figure: string
  readonly unit: '×' | 's' | 'ms'
  readonly bound: { readonly atLeast: number } | { readonly atMost: number }
  /** Null where it was not measured. */
  readonly of: (found: Findings) => number | null
}

const caseIn = (
  { cases }: Findings,
  operation: OperationName,
  connections: number,
): CaseResult | null =>
  cases.find((one) => one.operation === operation && one.connections === connections) ?? null

const throughput = (operation: OperationName, connections: number) => (found: Findings) => {
  const result = caseIn(found, operation, connections)
  if (!result) return null
  const { kme, bare } = result
  const perSecond = (slice: { requestsPerSecond: number }): number => slice.requestsPerSecond
  return ratio(middle(kme, perSecond), middle(bare, perSecond))
}

/** One synced write and one exchange of the bare server, in the same rounds. */
const latencyAtOne = (found: Findings): number | null => {
  const result = caseIn(found, 'get-key', 1)
  if (!result) return null
  const p50 = (slices: CaseResult['bare']): number => middle(slices, ({ p50Ms }) => p50Ms)
  return ratio(p50(result.kme), median(result.fsyncMs) + p50(result.bare))
}

const cpu = (found: Findings): number | null => {
  const result = caseIn(found, 'get-key', 64)
  return result && ratio(middle(result.kme, cpuUsOf), middle(result.bare, cpuUsOf))
}

const keysPerSecond = ({ manyKeys }: Findings): number | null => {
  if (!manyKeys) return null
  const { one, many, keysPerCall } = manyKeys
  const calls = (slices: typeof one): number =>
    middle(slices, ({ requestsPerSecond }) => requestsPerSecond)
  return ratio(calls(many) * keysPerCall, calls(one))
}

const poolLatency = ({ pool }: Findings): number | null =>
  pool &&
  ratio(
    middle(pool.many, ({ p50Ms }) => p50Ms),
    middle(pool.few, ({ p50Ms }) => p50Ms),
  )

const handshakeCpu = ({ handshakes }: Findings): number | null =>
  handshakes && ratio(middle(handshakes.kme, cpuUsOf), middle(handshakes.bare, cpuUsOf))

/** Every SAE was served, or there is no time in which all were. */
const stormSeconds = ({ storm }: Findings): number | null =>
  storm && (storm.kme.errors === 0 ? storm.kme.allServedMs / 1000 : Infinity)

/** The KME that grew more. */
const memoryGrowth = ({ memory }: Findings): number | null => {
  if (!memory) return null
  const growth = (moments: typeof memory.a): number =>
    ratio(moments.at(-1)?.collected.rssBytes ?? NaN, moments[0]?.collected.rssBytes ?? NaN)
  return Math.max(growth(memory.a), growth(memory.b))
}

const startSeconds = ({ start }: Findings): number | null =>
  start && median(start.many.map(({ firstKeyMs }) => firstKeyMs)) / 1000

const longestStall = (during: StallOccasion) => (found: Findings) => {
  const result = found.stalls.find((one) => one.during === during)
  return result ? Math.max(result.a.longestMs, result.b.longestMs) : null
}

const STALL_MS = 20

const stall = (during: StallOccasion): Budget => ({
  name: `longest stall during ${during}`,
  figure: 'how late a timer in the event loop of a KME was at most',
  unit: 'ms',
  bound: { atMost: STALL_MS },
  of: longestStall(during),
})

const TO_BARE = 'requests per second, of those of the bare server'

/** The one place where the budgets stand. */
export const BUDGETS: readonly Budget[] = [
  {
    name: 'Get key at 64 connections',
    figure: TO_BARE,
    unit: '×',
    bound: { atLeast: 0.5 },
    of: throughput('get-key', 64),
  },
  {
    name: 'Get key at 16 connections',
    figure: TO_BARE,
    unit: '×',
    bound: { atLeast: 0.35 },
    of: throughput('get-key', 16),
  },
  {
    name: 'Get key at 1 connection',
    figure: 'p50, of one synced write and one exchange with the bare server',
    unit: '×',
    bound: { atMost: 2 },
    of: latencyAtOne,
  },
  {
    name: 'Get key with key IDs at 64 connections',
    figure: TO_BARE,
    unit: '×',
    bound: { atLeast: 0.5 },
    of: throughput('get-key-with-ids', 64),
  },
  {
    name: 'Get key with key IDs at 16 connections',
    figure: TO_BARE,
    unit: '×',
    bound: { atLeast: 0.5 },
    of: throughput('get-key-with-ids', 16),
  },
  {
    name: '128 keys per call',
    figure: 'keys per second, of those with 1 key per call',
    unit: '×',
    bound: { atLeast: 15 },
    of: keysPerSecond,
  },
  {
    name: 'Get key with very many keys in the lanes',
    figure: 'p50 at 1 connection, of that with few',
    unit: '×',
    bound: { atMost: 1.2 },
    of: poolLatency,
  },
  {
    name: 'CPU time per Get key',
    figure: 'both KMEs together at 64 connections, of that of the bare server',
    unit: '×',
    bound: { atMost: 2 },
    of: cpu,
  },
  {
    name: 'CPU time per full mTLS handshake',
    figure: 'with one request, of that of the bare server',
    unit: '×',
    bound: { atMost: 1.15 },
    of: handshakeCpu,
  },
  {
    name: '1,000 SAEs that connect again at once',
    figure: 'until the last of them has a key',
    unit: 's',
    bound: { atMost: 10 },
    of: stormSeconds,
  },
  {
    name: 'memory of a KME after many deliveries',
    figure: 'resident, of that after a tenth of them',
    unit: '×',
    bound: { atMost: 1.1 },
    of: memoryGrowth,
  },
  {
    name: 'start with very many keys in the store',
    figure: 'from the start of the process until an SAE has a key',
    unit: 's',
    bound: { atMost: 2 },
    of: startSeconds,
  },
  {
    name: 'speed of the simulator',
    figure: 'both ends of a link of some kb/s on one core, of real time',
    unit: '×',
    bound: { atLeast: 1000 },
    of: ({ simulator }) => simulator?.timesRealTime ?? null,
  },
  stall('checkpoints'),
  stall('verification'),
  stall('erasure'),
]

export type Verdict = 'met' | 'missed' | 'not measured'

export interface JudgedBudget {
  readonly budget: Budget
  readonly value: number | null
  readonly verdict: Verdict
}

const isMet = (value: number, bound: Budget['bound']): boolean =>
  'atLeast' in bound ? value >= bound.atLeast : value <= bound.atMost

/** A figure that is no number meets nothing. */
export const judge = (found: Findings, budgets = BUDGETS): readonly JudgedBudget[] =>
  budgets.map((budget) => {
    const value = budget.of(found)
    if (value === null) return { budget, value, verdict: 'not measured' }
    return { budget, value, verdict: isMet(value, budget.bound) ? 'met' : 'missed' }
  })

/** What keeps a check from passing. In a complete run that is also what was not measured. */
export const failuresIn = (
  judged: readonly JudgedBudget[],
  isComplete: boolean,
): readonly JudgedBudget[] =>
  judged.filter(({ verdict }) => verdict === 'missed' || (isComplete && verdict !== 'met'))
