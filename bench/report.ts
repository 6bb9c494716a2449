import type { CaseResult } from './cases.ts'
import type { Slice } from './load.ts'
import type { Machine } from './machine.ts'
import { OPERATION_TITLES } from './operations.ts'
import { extent, median, ratio } from './statistics.ts'

/** Everything that a run found; also its JSON. */
export interface Results {
  readonly startedAt: string
  readonly command: string
  readonly machine: Machine
  readonly intake: IntakeResult
  readonly cases: readonly CaseResult[]
}

/** What it took to bring key of the device into the lanes, before the load. */
export interface IntakeResult {
  /** Keys of the size measured, in both lanes. */
  readonly keys: number
  readonly seconds: number
  /** CPU time per key, both KMEs and the simulated device in them. */
  readonly cpuUsPerKey: number
}

/** Three figures, whatever the size: `0.213`, `21.3`, `2130`. */
export const threeFigures = (value: number): string => {
  if (!Number.isFinite(value)) return '–'
  if (value >= 100) return String(Math.round(value))
  return value.toPrecision(3)
}

const middle = (slices: readonly Slice[], of: (slice: Slice) => number): number =>
  median(slices.map(of))

/** "KME / bare = ratio", each the median over the slices. */
const beside = (result: CaseResult, of: (slice: Slice) => number): string => {
  const ours = middle(result.kme, of)
  const bare = middle(result.bare, of)
  return `${threeFigures(ours)} / ${threeFigures(bare)} = **${ratio(ours, bare).toFixed(2)}**`
}

const cpuOf = (slice: Slice): number => slice.cpuUsPerRequest.reduce((sum, us) => sum + us, 0)

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
  beside(result, cpuOf),
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

const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`

/** The table: in each cell the KMEs, the bare server, and the one as a multiple of the other. */
export const tableOf = (cases: readonly CaseResult[]): string =>
  [
    line(HEAD),
    line(HEAD.map((_, i) => (i === 0 ? '---' : '--:'))),
    ...cases.map(rowOf).map(line),
  ].join('\n')

export const errorsIn = (cases: readonly CaseResult[]): number =>
  cases.flatMap(({ kme, bare }) => [...kme, ...bare]).reduce((sum, { errors }) => sum + errors, 0)

export const firstErrorIn = (cases: readonly CaseResult[]): string | null =>
  cases.flatMap(({ kme, bare }) => [...kme, ...bare]).find(({ firstError }) => firstError !== null)
    ?.firstError ?? null

const machineLine = (machine: Machine): string =>
  `${String(machine.cores)} cores of ${machine.cpuModel}, ${String(machine.memoryGiB)} GiB, ` +
  `${machine.platform}, kernel ${machine.kernel}; Node ${machine.node} with OpenSSL ${machine.openssl}; ` +
  `SQLite ${machine.sqlite}; a write of 4 KiB with its sync takes ${threeFigures(machine.fsyncMs)} ms.`

/** The whole section for a page. */
export const reportOf = (results: Results): string => {
  const { startedAt, command, machine, intake, cases } = results
  const requests = cases
    .flatMap(({ kme, bare }) => [...kme, ...bare])
    .reduce((sum, slice) => sum + slice.requests, 0)
  return `Measured on ${startedAt.slice(0, 10)} with \`${command}\`: ${machineLine(machine)}
${String(requests)} requests in the windows, ${String(errorsIn(cases))} errors.

In each cell: the KMEs / the bare server = **ratio**.

${tableOf(cases)}

Beforehand ${String(intake.keys)} keys came from the simulated device into the lanes in ${threeFigures(intake.seconds)} s:
${threeFigures(intake.cpuUsPerKey)} µs of CPU time per 256-bit key, both KMEs and both ends of the simulator together.`
}
