/** `npm run bench`: two KMEs beside a bare server, measured in one run and held against the budgets. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { resolve } from 'node:path'
import { type JudgedBudget, failuresIn, judge } from './budgets.ts'
import { DiskSync } from './disk.ts'
import { describeMachine, isInMemory } from './machine.ts'
import { type Options, USAGE, UsageError, readOptions } from './options.ts'
import { failureLine, jsonOf, reportOf } from './report.ts'
import { type Results, errorsIn, firstErrorIn } from './results.ts'
import { measureAll } from './run.ts'
import { replaceSection } from './section.ts'

const SECTION = 'bench'
const EXIT_USAGE = 2

const say = (text: string): void => {
  process.stderr.write(`${text}\n`)
}

/** A signal or the time limit; its exit code. */
class Stopped extends Error {
  readonly exitCode: number

  constructor(why: string, exitCode: number) {
    super(why)
    this.exitCode = exitCode
  }
}

const folderOf = ({ dir }: Options): string => {
  const folder = resolve(dir ?? tmpdir())
  mkdirSync(folder, { recursive: true })
  if (!isInMemory(folder)) return folder
  throw new UsageError(`${folder} is in memory: name a folder on a disk with --dir`)
}

const measure = async (options: Options, stop: AbortController): Promise<Results> => {
  const parent = folderOf(options)
  const profileDir = options.profile === null ? null : resolve(options.profile)
  const { plan, command } = options
  const startedAt = new Date().toISOString()
  const startedMs = performance.now()
  using disk = new DiskSync(parent)
  const machine = describeMachine(disk)
  const found = await measureAll({ plan, parent, disk, profileDir, stop, say })
  const seconds = (performance.now() - startedMs) / 1000
  return { startedAt, seconds, command, machine, ...found }
}

const publish = (
  results: Results,
  judged: readonly JudgedBudget[],
  { out, markdown }: Options,
): void => {
  const report = reportOf(results, judged)
  process.stdout.write(`${report}\n`)
  if (out !== null) writeFileSync(out, `${JSON.stringify(jsonOf(results, judged), null, 2)}\n`)
  if (markdown !== null) {
    writeFileSync(markdown, replaceSection(readFileSync(markdown, 'utf8'), SECTION, report))
  }
}

/** A page without the markers is found out before the run, not after it. */
const checkPage = (page: string): void => {
  try {
    replaceSection(readFileSync(page, 'utf8'), SECTION, '')
  } catch (error) {
    throw new UsageError(`${page}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** The exit code. */
const conclude = (
  results: Results,
  judged: readonly JudgedBudget[],
  { check, plan }: Options,
): number => {
  const errors = errorsIn(results)
  if (errors > 0) {
    say(`${String(errors)} requests failed, the first with: ${firstErrorIn(results) ?? ''}`)
  }
  const failures = check ? failuresIn(judged, plan.isComplete) : []
  for (const failure of failures) say(failureLine(failure))
  return errors > 0 || failures.length > 0 ? 1 : 0
}

const run = async (options: Options): Promise<number> => {
  if (options.markdown !== null) checkPage(options.markdown)
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      stop.abort(new Stopped(name, 128 + constants.signals[name]))
    })
  }
  const { limitMs } = options.plan
  const limit = setTimeout(() => {
    stop.abort(new Stopped(`not done within ${String(limitMs / 1000)} s`, 1))
  }, limitMs)
  try {
    const results = await measure(options, stop)
    const judged = judge(results)
    publish(results, judged, options)
    return conclude(results, judged, options)
  } catch (error) {
    // What was under way failed because of the reason, so that one is told.
    const reason: unknown = stop.signal.aborted ? stop.signal.reason : error
    if (reason instanceof UsageError) throw reason
    say(`stopped: ${reason instanceof Error ? reason.message : String(reason)}`)
    return reason instanceof Stopped ? reason.exitCode : 1
  } finally {
    clearTimeout(limit)
  }
}

const main = async (): Promise<number> => {
  try {
    const options = readOptions(process.argv.slice(2))
    if (options !== null) return await run(options)
    process.stdout.write(`${USAGE}\n`)
    return 0
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    say(error.message)
    return EXIT_USAGE
  }
}

process.exitCode = await main()
