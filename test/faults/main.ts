/** `npm run test:faults`: two KMEs under load and under faults, and what becomes of the promises. */
import { randomInt } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { replaceSection } from '../../bench/section.ts'
import { Dice } from '../links/chaos/dice.ts'
import { type Options, USAGE, UsageError, readOptions } from './options.ts'
import { type Result, type Run, reportOf } from './report.ts'
import { type Scenario, Tally } from './scenario.ts'
import { SCENARIOS } from './scenarios/all.ts'
import { endEverything } from './stage/stop.ts'

const SECTION = 'faults'
const EXIT_USAGE = 2
const SIGNAL_EXIT_BASE = 128
/** Of one scenario; one that hangs is a failure, not a long wait. */
const LIMIT_MS = 3 * 3_600_000
const SHORT_LIMIT_MS = 15 * 60_000
const MOST_LINES = 20

const say = (text: string): void => {
  process.stderr.write(`${text}\n`)
}

const diceOf = (seed: number, name: string): Dice =>
  new Dice(Buffer.from(name).reduce((state, byte) => Math.imul(state, 33) + byte, seed))

const runOne = async (scenario: Scenario, { seed, extent }: Options): Promise<Result> => {
  const tally = new Tally()
  const schedule: string[] = []
  const startedMs = performance.now()
  let failure: string | null = null
  const note = (line: string): void => {
    schedule.push(line)
    say(`  ${((performance.now() - startedMs) / 1000).toFixed(1).padStart(6)} s  ${line}`)
  }
  const limitMs = extent.short ? SHORT_LIMIT_MS : LIMIT_MS
  let timer: NodeJS.Timeout | undefined
  const tooLong = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`not done within ${limitMs / 60_000} minutes`))
    }, limitMs)
  })
  try {
    const stage = { dice: diceOf(seed, scenario.name), extent, note, tally }
    await Promise.race([scenario.run(stage), tooLong])
  } catch (error) {
    failure = error instanceof Error ? (error.stack ?? error.message) : String(error)
    await endEverything()
  } finally {
    clearTimeout(timer)
  }
  const { name, what } = scenario
  return { name, what, schedule, tally, failure, seconds: (performance.now() - startedMs) / 1000 }
}

const tell = ({ name, tally, failure, seconds }: Result): void => {
  const { violations, faults, draws, keys } = tally
  for (const { rule, message } of violations.slice(0, MOST_LINES)) say(`  ${rule}: ${message}`)
  if (violations.length > MOST_LINES) say(`  and ${violations.length - MOST_LINES} more`)
  if (failure !== null) say(failure)
  const bad = violations.length + (failure === null ? 0 : 1)
  say(
    `${bad === 0 ? 'ok  ' : 'FAIL'} ${name}: ${faults} faults, ${draws} calls for ${keys} keys, ` +
      `${violations.length} violations, ${seconds.toFixed(0)} s`,
  )
}

const publish = (run: Run, { json, markdown }: Options): void => {
  const report = reportOf(run)
  process.stdout.write(`${report}\n`)
  if (json !== null) writeFileSync(json, `${JSON.stringify(run, null, 2)}\n`)
  if (markdown !== null) {
    writeFileSync(markdown, replaceSection(readFileSync(markdown, 'utf8'), SECTION, report))
  }
}

const run = async (options: Options): Promise<number> => {
  if (options.markdown !== null) replaceSection(readFileSync(options.markdown, 'utf8'), SECTION, '')
  const chosen = SCENARIOS.filter(
    ({ name }) => options.only.length === 0 || options.only.includes(name),
  )
  say(`seed ${options.seed}`)
  const results: Result[] = []
  for (const scenario of chosen) {
    say(`${scenario.name}: ${scenario.what}`)
    const result = await runOne(scenario, options)
    tell(result)
    results.push(result)
  }
  publish({ seed: options.seed, extent: options.extent, results }, options)
  const isGood = results.every(
    ({ tally, failure }) => failure === null && tally.violations.length === 0 && tally.faults > 0,
  )
  return isGood ? 0 : 1
}

/** Compiled sources of the many processes that start: each start is faster for it. */
const withCompileCache = async (work: () => Promise<number>): Promise<number> => {
  const folder = mkdtempSync(join(tmpdir(), 'keyspring-faults-cache-'))
  process.env['NODE_COMPILE_CACHE'] = folder
  const remove = (): void => {
    rmSync(folder, { recursive: true, force: true })
  }
  const ending: Promise<never>[] = []
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    // npm hands on the signal that the terminal has sent already: the second must not cut the first off.
    process.on(name, () => {
      if (ending.length > 0) return
      say(name)
      const end = endEverything().then(() => {
        remove()
        process.exit(SIGNAL_EXIT_BASE + constants.signals[name])
      })
      ending.push(end)
    })
  }
  try {
    const code = await work()
    // The run fails when its KMEs are ended under it; the signal has the last word.
    await Promise.all(ending)
    return code
  } finally {
    remove()
  }
}

const main = async (): Promise<number> => {
  try {
    const names = SCENARIOS.map(({ name }) => name)
    const options = readOptions(process.argv.slice(2), names, () => randomInt(2 ** 31))
    if (options !== null) return await withCompileCache(() => run(options))
    process.stdout.write(`${USAGE}\n\nscenarios: ${names.join(', ')}\n`)
    return 0
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    say(error.message)
    return EXIT_USAGE
  }
}

// Whatever a scenario that was given up left behind does not keep the program.
process.exit(await main())
