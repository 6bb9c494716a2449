/** `npm run model`: SPIN searches the models of the peer protocol, their mutants and their witness runs. */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { surprise } from './model/judge.ts'
import { chosenRuns, type Run } from './model/runs.ts'
import { missingTools, Workshop } from './model/search.ts'

const MODELS = join(import.meta.dirname, '../docs/model')
const AT_ONCE = 2
const USAGE = `usage: npm run model -- [--only NAME]... [--json]
NAME: a configuration, a mutant or a witness run; a mutant runs beside its clean configuration.
`

interface Result extends Omit<Run, 'defines'> {
  readonly states: number
  readonly seconds: number
  /** What was not as expected, or null. */
  readonly surprise: string | null
}

const searchAll = async (runs: readonly Run[]): Promise<Result[]> => {
  using workshop = new Workshop(MODELS)
  const results = new Map<Run, Result>()
  const waiting = [...runs]
  const work = async (): Promise<void> => {
    for (let run = waiting.shift(); run !== undefined; run = waiting.shift()) {
      const { defines, ...shown } = run
      const search = await workshop.search(run.model, defines, run.violated === null)
      const { states, seconds } = search
      results.set(run, { ...shown, states, seconds, surprise: surprise(search, run) })
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return runs.flatMap((run) => results.get(run) ?? [])
}

const row = (cells: readonly string[]): string =>
  [30, 23, 10, 12, 8].reduceRight((line, width, n) => (cells[n] ?? '').padEnd(width) + line, '') +
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
