/** `npm run bench`: two KMEs beside a bare server, measured in one run. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { resolve } from 'node:path'
import { Case, type CaseResult, type DrawnKeys } from './cases.ts'
import { cpuTimeUs, ticksPerSecond } from './cpu-time.ts'
import { type Lab, linkOf, startLab, untilLink } from './lab.ts'
import { describeMachine, isInMemory } from './machine.ts'
import { KEY_SIZE_BITS } from './operations.ts'
import { type Options, USAGE, UsageError, readOptions } from './options.ts'
import { type IntakeResult, type Results, errorsIn, firstErrorIn, reportOf } from './report.ts'
import { replaceSection } from './section.ts'

const SECTION = 'bench'
/** The device pauses a little above that. */
const FULL_SHARE = 0.75
const WARM_UP_CONNECTIONS = 32
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

const fill = async ({ a, b }: Lab, hertz: number, signal: AbortSignal): Promise<IntakeResult> => {
  const cpuUs = (): number => cpuTimeUs(a.child.pid, hertz) + cpuTimeUs(b.child.pid, hertz)
  const keysNow = async (): Promise<number> => {
    const { lanes } = await linkOf(a)
    return Math.floor(((lanes[0].usableBytes + lanes[1].usableBytes) * 8) / KEY_SIZE_BITS)
  }
  const before = { keys: await keysNow(), cpuUs: cpuUs(), ms: performance.now() }
  const { keys: pool } = await linkOf(a)
  const full = (pool.max * FULL_SHARE * KEY_SIZE_BITS) / 8
  for (const site of [a, b]) {
    await untilLink(
      site,
      ({ lanes }) => lanes[0].availableBytes + lanes[1].availableBytes >= full,
      signal,
    )
  }
  const keys = (await keysNow()) - before.keys
  const seconds = (performance.now() - before.ms) / 1000
  return { keys, seconds, cpuUsPerKey: (cpuUs() - before.cpuUs) / keys }
}

const measure = async (options: Options, stop: AbortController): Promise<Results> => {
  const parent = folderOf(options)
  const profileDir = options.profile === null ? null : resolve(options.profile)
  const { plan } = options
  const { signal } = stop
  const startedAt = new Date().toISOString()
  const machine = describeMachine(parent)
  const hertz = ticksPerSecond()
  say('starting two KMEs and a bare server')
  await using lab = await startLab({ parent, profileDir, stop })
  say('filling the lanes')
  const intake = await fill(lab, hertz, signal)
  const drawn: DrawnKeys = new Map()
  const cases: CaseResult[] = []
  const parts = { lab, plan, hertz, signal }
  say('warming up')
  for (const operation of new Set(plan.cases.map((spec) => spec.operation))) {
    await new Case(parts, { operation, connections: WARM_UP_CONNECTIONS }, drawn).warmUp()
  }
  for (const spec of plan.cases) {
    say(`${spec.operation} at ${String(spec.connections)}`)
    cases.push(await new Case(parts, spec, drawn).run())
  }
  return { startedAt, command: options.command, machine, intake, cases }
}

const publish = (results: Results, { out, markdown }: Options): void => {
  const report = reportOf(results)
  process.stdout.write(`${report}\n`)
  if (out !== null) writeFileSync(out, `${JSON.stringify(results, null, 2)}\n`)
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
    publish(results, options)
    const errors = errorsIn(results.cases)
    if (errors === 0) return 0
    say(`${String(errors)} requests failed, the first with: ${firstErrorIn(results.cases) ?? ''}`)
    return 1
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
