import { cpus, release, totalmem } from 'node:os'
import type { Extent, Tally } from './scenario.ts'

export interface Result {
  readonly name: string
  readonly what: string
  /** What was done when, line by line. */
  readonly schedule: readonly string[]
  readonly tally: Tally
  /** Why it could not be carried out, or null. */
  readonly failure: string | null
  readonly seconds: number
}

export interface Run {
  readonly seed: number
  readonly extent: Extent
  readonly results: readonly Result[]
}

const seconds = (ms: number | undefined): string =>
  ms === undefined ? '–' : (ms / 1000).toFixed(1)

const median = (values: readonly number[]): number | undefined =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]

const outcomeOf = ({ failure, tally }: Result): string => {
  if (failure !== null) return 'not done'
  return tally.violations.length === 0 ? '0' : `**${tally.violations.length}**`
}

const rowOf = (result: Result): string => {
  const { what, tally } = result
  const { recoveriesMs } = tally
  const longest = recoveriesMs.length === 0 ? undefined : Math.max(...recoveriesMs)
  const cells = [
    what,
    tally.faults,
    tally.draws,
    tally.fetches,
    tally.keys,
    outcomeOf(result),
    seconds(median(recoveriesMs)),
    seconds(longest),
  ]
  return `| ${cells.join(' | ')} |`
}

const commandOf = ({ seed, extent: { short, cycles, keys } }: Run): string =>
  [
    'npm run test:faults --',
    ...(short ? ['--short'] : []),
    `--cycles ${cycles} --seed ${seed}`,
    ...(keys > 0 ? [`--keys ${keys}`] : []),
  ].join(' ')

/** As Markdown: what was done, on which machine, and what came of it. */
export const reportOf = (run: Run): string => {
  const gib = Math.round(totalmem() / 2 ** 30)
  const [processor] = cpus()
  return [
    `\`${commandOf(run)}\`, ${new Date().toISOString().slice(0, 10)}: ${cpus().length} cores ` +
      `(${processor?.model.trim() ?? 'unknown'}), ${gib} GiB, ${process.platform} ${release()}, ` +
      `Node ${process.versions.node}, both KMEs and the load on this machine.`,
    '',
    '| fault | times | *Get key* | *Get key with key IDs* | keys | violations | ready again, median s | longest s |',
    '|---|--:|--:|--:|--:|--:|--:|--:|',
    ...run.results.map(rowOf),
  ].join('\n')
}
