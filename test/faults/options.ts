import { parseArgs } from 'node:util'
import type { Extent } from './scenario.ts'

export const USAGE = `npm run test:faults -- [--short] [--cycles N] [--seed S] [--only SCENARIO]... [--keys N]
                       [--json FILE] [--markdown FILE.md]

Lets two KMEs deliver keys while they are killed, frozen, cut off and more, and judges the promises
from what their clients saw and from their stores.

  --short          what runs on each change: every kind of fault, fewer and shorter ones
  --cycles N       how often a KME is killed at a random moment (default 200)
  --seed S         a whole number: the same seed gives the same schedule (default: a new one)
  --only SCENARIO  only that scenario; may be repeated
  --keys N         the kills run on stores with so many keys of 256 bits (default: what comes by itself)
  --json FILE      everything that was found, as JSON
  --markdown FILE  writes the table between the markers of that page`

export interface Options {
  readonly seed: number
  readonly only: readonly string[]
  readonly extent: Extent
  readonly json: string | null
  readonly markdown: string | null
}

/** A mistake on the command line, in one line. */
export class UsageError extends Error {}

const DEFAULT_CYCLES = 200
const MOST_CYCLES = 100_000
const MOST_KEYS = 20_000_000
const SEEDS = 2 ** 31

const wholeNumber = (name: string, text: string, least: number, most: number): number => {
  const number = Number(text)
  if (/^\d+$/.test(text) && number >= least && number <= most) return number
  throw new UsageError(`--${name} ${text}: expected a whole number from ${least} to ${most}`)
}

const parse = (args: readonly string[]) => {
  try {
    return parseArgs({
      args: [...args],
      options: {
        short: { type: 'boolean', default: false },
        cycles: { type: 'string', default: String(DEFAULT_CYCLES) },
        seed: { type: 'string' },
        only: { type: 'string', multiple: true, default: [] },
        keys: { type: 'string', default: '0' },
        json: { type: 'string' },
        markdown: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

/** Reads the command line; null where it asks for help. @throws UsageError */
export const readOptions = (
  args: readonly string[],
  names: readonly string[],
  newSeed: () => number,
): Options | null => {
  const { help, short, only, json = null, markdown = null, ...values } = parse(args)
  if (help) return null
  const unknown = only.find((name) => !names.includes(name))
  if (unknown !== undefined) {
    throw new UsageError(`--only ${unknown}: expected one of ${names.join(', ')}`)
  }
  return {
    seed: values.seed === undefined ? newSeed() : wholeNumber('seed', values.seed, 0, SEEDS - 1),
    only,
    extent: {
      short,
      cycles: wholeNumber('cycles', values.cycles, 1, MOST_CYCLES),
      keys: wholeNumber('keys', values.keys, 0, MOST_KEYS),
    },
    json,
    markdown,
  }
}
