/** `npm run model`: SPIN searches the model of the peer protocol, its mutants and its witness runs. */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { surprise, type Expectation } from './model/judge.ts'
import { configurations, mutants, witnesses } from './model/runs.ts'
import { missingTools, Workshop } from './model/search.ts'

const MODEL = join(import.meta.dirname, '../docs/model/deliveries.pml')
const AT_ONCE = 2
const USAGE = `usage: npm run model -- [--only NAME]... [--json]
NAME: a configuration, a mutant or a witness run; a mutant runs beside its clean configuration.
`

interface Run extends Expectation {
  readonly name: string
  readonly kind: 'clean' | 'mutant' | 'witness'
  readonly title: string
  readonly configuration: string
  readonly defines: readonly string[]
}

interface Result extends Omit<Run, 'defines'> {
  readonly states: number
  readonly seconds: number
  /** What was not as expected, or null. */
  readonly surprise: string | null
}

const definesOf = (name: string): readonly string[] => {
  const found = configurations.find((configuration) => configuration.name === name)
  if (!found) throw new Error(`no configuration ${name}`)
  return found.defines
}

const allRuns = (): Run[] => [
  ...configurations.map((clean) => ({
    ...clean,
    ...{ kind: 'clean' as const, configuration: clean.name, violated: null },
  })),
  ...mutants.map(({ name, title, rule, configuration, breaks, also = [] }) => ({
    ...{ name, kind: 'mutant' as const, title: `${rule}: ${title}`, configuration },
    defines: [...definesOf(configuration), `MUTANT_${name}`, ...also],
    violated: `${breaks}_holds`,
  })),
  ...witnesses.map(({ name, title, configuration }) => ({
    ...{ name, kind: 'witness' as const, title, configuration, violated: 'unseen' },
    defines: [...definesOf(configuration), `WITNESS=${name}`],
  })),
]

/** The named runs, and the clean ones of the same configurations. */
const chosenRuns = (only: readonly string[]): Run[] => {
  const runs = allRuns()
  if (only.length === 0) return runs
  const named = runs.filter(({ name }) => only.includes(name))
  const unknown = only.filter((name) => !named.some((run) => run.name === name))
  if (unknown.length > 0) throw new Error(`no run is named ${unknown.join(', ')}`)
  const beside = new Set(named.map(({ configuration }) => configuration))
  return runs.filter((run) => named.includes(run) || (run.kind === 'clean' && beside.has(run.name)))
}

const searchAll = async (runs: readonly Run[]): Promise<Result[]> => {
  using workshop = new Workshop(MODEL)
  const results = new Map<Run, Result>()
  const waiting = [...runs]
  const work = async (): Promise<void> => {
    for (let run = waiting.shift(); run !== undefined; run = waiting.shift()) {
      const { defines, ...shown } = run
      const search = await workshop.search(defines)
      const { states, seconds } = search
      results.set(run, { ...shown, states, seconds, surprise: surprise(search, run) })
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return runs.flatMap((run) => results.get(run) ?? [])
}

const row = (cells: readonly string[]): string =>
  [28, 14, 10, 12, 8].reduceRight((line, width, n) => (cells[n] ?? '').padEnd(width) + line, '') +
  cells.slice(5).join('  ')

const lineOf = (result: Result): string =>
  row([
    ...[result.name, result.configuration, result.violated?.replace('_holds', '') ?? 'all hold'],
    ...[String(result.states), result.seconds.toFixed(1)],
    ...[(result.surprise ?? 'as expected').padEnd(12), result.title],
  ])

const print = (results: readonly Result[]): void => {
  const head = ['run', 'configuration', 'expected', 'states', 'seconds', 'result      ', 'what']
  const surprises = results.filter(({ surprise }) => surprise !== null).length
  process.stdout.write([row(head), ...results.map(lineOf)].join('\n'))
  process.stdout.write(`\n${results.length} runs, ${surprises} not as expected\n`)
}

const main = async (): Promise<void> => {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [] },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(USAGE)
    return
  }
  const missing = missingTools()
  if (missing.length > 0)
    throw new Error(`${missing.join(' and ')} not found: install what is missing`)
  const results = await searchAll(chosenRuns(values.only))
  if (values.json) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`)
  else print(results)
  if (results.some(({ surprise }) => surprise !== null)) process.exitCode = 1
}

await main().catch((error: unknown) => {
  process.stderr.write(`npm run model: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
