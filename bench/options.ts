import { parseArgs } from 'node:util'
import { OPERATIONS, type OperationName } from './operations.ts'

/** One call at one number of connections. */
export interface CaseSpec {
  readonly operation: OperationName
  readonly connections: number
}

/** What is measured beside the cases. */
export const PARTS = [
  'many-keys',
  'open-loop',
  'handshakes',
  'stalls',
  'storm',
  'pool',
  'start',
  'memory',
  'simulator',
] as const
export type Part = (typeof PARTS)[number]

/** How long and how much everything is measured. */
export interface Pace {
  /** Slices of each server per case; even, so that both KMEs serve equally often. */
  readonly rounds: number
  /** Load on each server before anything is measured, discarded. */
  readonly firstWarmUpMs: number
  /** The same before each case, with its connections. */
  readonly warmUpMs: number
  /** At the beginning of each slice, discarded. */
  readonly leadInMs: number
  readonly sliceMs: number
  /** On each server. */
  readonly openLoopMs: number
  readonly stallMs: number
  readonly simulatorMs: number
  /** What "very many keys in the lanes" is, in both together. */
  readonly manyKeysInLanes: number
  readonly restarts: number
  readonly memoryAfterDeliveries: readonly [first: number, last: number]
  readonly stormSaes: number
}

export interface Plan {
  readonly cases: readonly CaseSpec[]
  readonly parts: ReadonlySet<Part>
  /** Everything is measured, so that every budget can be judged. */
  readonly isComplete: boolean
  readonly pace: Pace
  /** The whole run is given up after that. */
  readonly limitMs: number
}

export interface Options {
  /** As it would be typed again, without the names of files. */
  readonly command: string
  readonly plan: Plan
  /** A missed budget is a failure. */
  readonly check: boolean
  /** Where everything lies while it runs; it has to be on a disk. */
  readonly dir: string | null
  readonly out: string | null
  readonly markdown: string | null
  /** Where the KMEs write CPU profiles. */
  readonly profile: string | null
}

export const USAGE = `npm run bench -- [--quick] [--check] [--only WHAT]... [--out FILE.json] [--markdown FILE.md]
                 [--dir DIR] [--profile DIR]

Measures two KMEs on this machine beside a bare node:https server in the same run, and says which
budgets are met.

  --quick          short slices, fewer keys and deliveries, done in less than five minutes; coarse
  --check          exit code 1 where a budget is missed, each of them named
  --only WHAT      one case, for example get-key:64, or one part; may be repeated. The parts:
                   ${PARTS.slice(0, 5).join(', ')},
                   ${PARTS.slice(5).join(', ')}
  --out FILE       every slice as JSON
  --markdown FILE  writes the tables between the markers of that page
  --dir DIR        folder on a real disk for the stores (default: the system's temporary folder)
  --profile DIR    the KMEs write CPU profiles there; they are slower then`

const FULL: Pace = {
  rounds: 6,
  firstWarmUpMs: 6_000,
  warmUpMs: 2_000,
  leadInMs: 300,
  sliceMs: 2_000,
  openLoopMs: 20_000,
  stallMs: 20_000,
  simulatorMs: 10_000,
  manyKeysInLanes: 10_000_000,
  restarts: 3,
  memoryAfterDeliveries: [100_000, 1_000_000],
  stormSaes: 1_000,
}
const FULL_LIMIT_MS = 2_700_000

const QUICK: Pace = {
  rounds: 2,
  firstWarmUpMs: 1_500,
  warmUpMs: 500,
  leadInMs: 200,
  sliceMs: 1_000,
  openLoopMs: 4_000,
  stallMs: 6_000,
  simulatorMs: 2_000,
  manyKeysInLanes: 1_000_000,
  restarts: 1,
  memoryAfterDeliveries: [10_000, 100_000],
  stormSaes: 1_000,
}
const QUICK_LIMIT_MS = 300_000

const CONNECTIONS = [1, 16, 64]
const MOST_CONNECTIONS = 200
/** Half of what was found at so many connections is the rate of the open loop. */
export const CAPACITY_CONNECTIONS = 64

/** A mistake on the command line, in one line. */
export class UsageError extends Error {}

const caseOf = (text: string): CaseSpec => {
  const [name, count] = text.split(':')
  const operation = OPERATIONS.find((known) => known === name)
  const connections = Number(count)
  const inRange = /^\d+$/.test(count ?? '') && connections >= 1 && connections <= MOST_CONNECTIONS
  if (operation && inRange) return { operation, connections }
  const calls = OPERATIONS.join(' or ')
  throw new UsageError(
    `--only ${text}: expected a part, or ${calls}, a colon, and 1 to ${String(MOST_CONNECTIONS)}`,
  )
}

const casesAt = (connections: readonly number[]): CaseSpec[] =>
  OPERATIONS.flatMap((operation) =>
    connections.map((count): CaseSpec => ({ operation, connections: count })),
  )

const isPart = (text: string): text is Part => PARTS.some((part) => part === text)

const chosenBy = (only: readonly string[]): Pick<Plan, 'cases' | 'parts'> => {
  const parts = new Set(only.filter(isPart))
  const cases = only.filter((text) => !isPart(text)).map(caseOf)
  if (!parts.has('open-loop')) return { cases, parts }
  // The open loop needs to know what the closed one reaches.
  const missing = casesAt([CAPACITY_CONNECTIONS]).filter(
    ({ operation, connections }) =>
      !cases.some((one) => one.operation === operation && one.connections === connections),
  )
  return { cases: [...cases, ...missing], parts }
}

const planOf = (quick: boolean, only: readonly string[]): Plan => ({
  ...(only.length === 0 ? { cases: casesAt(CONNECTIONS), parts: new Set(PARTS) } : chosenBy(only)),
  isComplete: only.length === 0,
  pace: quick ? QUICK : FULL,
  limitMs: quick ? QUICK_LIMIT_MS : FULL_LIMIT_MS,
})

const parse = (args: readonly string[]) => {
  try {
    return parseArgs({
      args: [...args],
      options: {
        quick: { type: 'boolean', default: false },
        check: { type: 'boolean', default: false },
        only: { type: 'string', multiple: true, default: [] },
        out: { type: 'string' },
        markdown: { type: 'string' },
        dir: { type: 'string' },
        profile: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

/** Reads the command line; null where it asks for help. @throws UsageError */
export const readOptions = (args: readonly string[]): Options | null => {
  const { help, quick, check, only, ...files } = parse(args)
  if (help) return null
  const { out = null, markdown = null, dir = null, profile = null } = files
  const flags = [...(quick ? ['--quick'] : []), ...only.map((one) => `--only ${one}`)]
  const command = ['npm run bench', ...(flags.length > 0 ? ['--', ...flags] : [])].join(' ')
  return { command, plan: planOf(quick, only), check, out, markdown, dir, profile }
}
