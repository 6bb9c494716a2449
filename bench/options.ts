import { parseArgs } from 'node:util'
import { OPERATIONS, type OperationName } from './operations.ts'

/** One call at one number of connections. */
export interface CaseSpec {
  readonly operation: OperationName
  readonly connections: number
}

/** How much is measured, and for how long at most. */
export interface Plan {
  readonly cases: readonly CaseSpec[]
  /** Slices of each server per case; even, so that both KMEs serve equally often. */
  readonly rounds: number
  /** Load on each server before anything is measured, discarded. */
  readonly firstWarmUpMs: number
  /** The same before each case, with its connections. */
  readonly warmUpMs: number
  /** At the beginning of each slice, discarded. */
  readonly leadInMs: number
  readonly sliceMs: number
  /** The whole run is given up after that. */
  readonly limitMs: number
}

export interface Options {
  /** As it would be typed again, without the names of files. */
  readonly command: string
  readonly plan: Plan
  /** Where everything lies while it runs; it has to be on a disk. */
  readonly dir: string | null
  readonly out: string | null
  readonly markdown: string | null
  /** Where the KMEs write CPU profiles. */
  readonly profile: string | null
}

export const USAGE = `npm run bench -- [--quick] [--only CALL:CONNECTIONS]... [--out FILE.json] [--markdown FILE.md]
                 [--dir DIR] [--profile DIR]

Measures two KMEs on this machine beside a bare node:https server in the same run.

  --quick          short slices, done in less than two minutes; the figures are coarse
  --only CASE      one case, for example get-key:64; may be repeated
  --out FILE       every slice as JSON
  --markdown FILE  writes the table between the markers of that page
  --dir DIR        folder on a real disk for the two stores (default: the system's temporary folder)
  --profile DIR    the KMEs write CPU profiles there; they are slower then`

const FULL = {
  rounds: 6,
  firstWarmUpMs: 6_000,
  warmUpMs: 2_000,
  leadInMs: 300,
  sliceMs: 2_000,
  limitMs: 900_000,
}
const QUICK = {
  rounds: 2,
  firstWarmUpMs: 1_500,
  warmUpMs: 500,
  leadInMs: 200,
  sliceMs: 1_000,
  limitMs: 115_000,
}
const CONNECTIONS = [1, 16, 64]
const MOST_CONNECTIONS = 200

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
    `--only ${text}: expected ${calls}, a colon, and 1 to ${String(MOST_CONNECTIONS)}`,
  )
}

const EVERY_CASE = OPERATIONS.flatMap((operation) =>
  CONNECTIONS.map((connections): CaseSpec => ({ operation, connections })),
)

const planOf = (quick: boolean, only: readonly string[]): Plan => ({
  ...(quick ? QUICK : FULL),
  cases: only.length === 0 ? EVERY_CASE : only.map(caseOf),
})

const parse = (args: readonly string[]) => {
  try {
    return parseArgs({
      args: [...args],
      options: {
        quick: { type: 'boolean', default: false },
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
  const { help, quick, only, out = null, markdown = null, dir = null, profile = null } = parse(args)
  if (help) return null
  const flags = [...(quick ? ['--quick'] : []), ...only.map((one) => `--only ${one}`)]
  const command = ['npm run bench', ...(flags.length > 0 ? ['--', ...flags] : [])].join(' ')
  return { command, plan: planOf(quick, only), out, markdown, dir, profile }
}
