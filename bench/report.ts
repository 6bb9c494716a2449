import type { Budget, JudgedBudget } from './budgets.ts'
import type { CaseResult } from './cases.ts'
import { cpuUsOf, middle, threeFigures } from './figures.ts'
import type { Slice } from './load.ts'
import type { Machine } from './machine.ts'
import { OPERATION_TITLES } from './operations.ts'
import type { OpenLoopResult } from './open-loop.ts'
import { otherFindings } from './report-parts.ts'
import { type Results, errorsIn, requestsIn } from './results.ts'
import { extent, ratio } from './statistics.ts'
import { table } from './table.ts'

/** "KME / bare = ratio", each the median over the slices. */
const beside = (result: CaseResult, of: (slice: Slice) => number): string =>
  quotient(middle(result.kme, of), middle(result.bare, of))

const quotient = (ours: number, bare: number): string =>
  `${threeFigures(ours)} / ${threeFigures(bare)} = **${ratio(ours, bare).toFixed(2)}**`

/** How far single rounds lie apart: the ratio of each slice to the bare one just before it. */
const spread = ({ kme, bare }: CaseResult): string => {
  const ratios = kme.map((slice, i) =>
    ratio(slice.requestsPerSecond, bare[i]?.requestsPerSecond ?? 0),
  )
  return extent(ratios)
    .map((value) => value.toFixed(2))
    .join(' to ')
}

const rowOf = (result: CaseResult): readonly string[] => [
  OPERATION_TITLES[result.operation],
  String(result.connections),
  beside(result, (slice) => slice.requestsPerSecond),
  spread(result),
  beside(result, (slice) => slice.p50Ms),
  beside(result, (slice) => slice.p99Ms),
  beside(result, cpuUsOf),
  threeFigures(middle(result.kme, (slice) => slice.cpuUsPerRequest[0] ?? 0)),
  threeFigures(middle(result.kme, (slice) => slice.cpuUsPerRequest[1] ?? 0)),
]

const HEAD = [
  'call',
  'connections',
  'requests/s',
  'that ratio, by round',
  'p50, ms',
  'p99, ms',
  'CPU per request, µs',
  'of it the KME asked',
  'the other KME',
]

/** The table: in each cell the KMEs, the bare server, and the one as a multiple of the other. */
export const tableOf = (cases: readonly CaseResult[]): string => table(HEAD, cases.map(rowOf))

const OPEN_LOOP_HEAD = ['call', 'requests/s', 'p50, ms', 'p99, ms', 'p99.9, ms', 'longest, ms']

const openLoopRow = ({ operation, kme, bare }: OpenLoopResult): readonly string[] => [
  OPERATION_TITLES[operation],
  `${threeFigures(kme.ratePerSecond)} / ${threeFigures(bare.ratePerSecond)}`,
  quotient(kme.p50Ms, bare.p50Ms),
  quotient(kme.p99Ms, bare.p99Ms),
  quotient(kme.p999Ms, bare.p999Ms),
  quotient(kme.maxMs, bare.maxMs),
]

export const boundOf = ({ bound, unit }: Budget): string =>
  'atLeast' in bound ? `≥ ${String(bound.atLeast)} ${unit}` : `≤ ${String(bound.atMost)} ${unit}`

export const figureOf = ({ budget, value }: JudgedBudget): string =>
  value === null ? '–' : `${threeFigures(value)} ${budget.unit}`

/** Each budget with its figure, its bound, and whether it is met. */
export const budgetTable = (judged: readonly JudgedBudget[]): string =>
  table(
    ['work', 'what is measured', 'figure', 'budget', ''],
    judged.map((one) => [
      one.budget.name,
      one.budget.figure,
      figureOf(one),
      boundOf(one.budget),
      one.verdict === 'missed' ? '**missed**' : one.verdict,
    ]),
    2,
  )

/** One line for each budget that is not met, for people and logs. */
export const failureLine = (one: JudgedBudget): string =>
  one.verdict === 'missed'
    ? `missed: ${one.budget.name}: ${figureOf(one)}, the budget is ${boundOf(one.budget)} (${one.budget.figure})`
    : `not measured: ${one.budget.name} (${one.budget.figure})`

const machineLine = (machine: Machine): string =>
  `${String(machine.cores)} cores of ${machine.cpuModel}, ${String(machine.memoryGiB)} GiB, ` +
  `${machine.platform}, kernel ${machine.kernel}; Node ${machine.node} with OpenSSL ${machine.openssl}; ` +
  `SQLite ${machine.sqlite}; a write of 4 KiB with its sync takes ${threeFigures(machine.fsyncMs)} ms.`

const opening = (results: Results): string =>
  `Measured on ${results.startedAt.slice(0, 10)} with \`${results.command}\` in ${String(Math.round(results.seconds))} s: ${machineLine(results.machine)}
${String(requestsIn(results))} requests were counted, ${String(errorsIn(results))} of them errors.`

const casesText = ({ cases }: Results): readonly string[] =>
  cases.length === 0
    ? []
    : ['### Closed loop', 'In each cell: the KMEs / the bare server = **ratio**.', tableOf(cases)]

const openLoopText = ({ openLoop }: Results): readonly string[] =>
  openLoop.length === 0
    ? []
    : [
        '### Latency at a fixed rate of arrivals',
        `Each server at half of what it reached in the closed loop at ${String(openLoop[0]?.connections)} connections; latency counts from the moment when a request was due.`,
        table(OPEN_LOOP_HEAD, openLoop.map(openLoopRow)),
        `The load generator sent up to ${openLoop
          .flatMap(({ kme, bare }) => [kme, bare])
          .map(({ sentLateP99Ms }) => threeFigures(sentLateP99Ms))
          .join(
            ', ',
          )} ms late (99th percentiles, in the order of the table, KMEs first); that is within the latencies.`,
      ]

/** The whole section for a page. */
export const reportOf = (results: Results, judged: readonly JudgedBudget[]): string =>
  [
    opening(results),
    '### Budgets',
    budgetTable(judged),
    ...casesText(results),
    ...openLoopText(results),
    ...otherFindings(results),
  ].join('\n\n')

/** The results with what was made of them. */
export const jsonOf = (results: Results, judged: readonly JudgedBudget[]): object => ({
  ...results,
  budgets: judged.map(({ budget: { name, figure, unit, bound }, value, verdict }) => ({
    ...{ name, figure, unit, ...bound, value, verdict },
  })),
})
