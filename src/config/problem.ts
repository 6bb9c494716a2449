import { KmeError } from '../errors.ts'

/** Where an option is: names of members and indexes of list entries, from the top of the file. */
export type OptionPath = readonly (string | number)[]

/** One thing that is wrong with a configuration. `message` is one line, without the place. */
export interface Problem {
  readonly path: OptionPath
  readonly message: string
  /** Line in the file, from 1, where it is known already; otherwise the path tells it. */
  readonly line?: number
}

const PLAIN_NAME = /^[A-Za-z_][\w-]*$/

/** `links[0].keySizeBits`; a name that is none of ours is quoted, so that it stays one line. */
export const formatPath = (path: OptionPath): string =>
  path
    .map((step, index) => {
      if (typeof step === 'number') return `[${String(step)}]`
      if (!PLAIN_NAME.test(step)) return `[${quote(step)}]`
      return index === 0 ? step : `.${step}`
    })
    .join('')

const LONGEST_QUOTE = 60

/** A value of the file as a message shows it: JSON, cut when long, always one line. */
export const quote = (value: unknown): string => {
  const text = JSON.stringify(value) as string | undefined
  if (text === undefined) return 'nothing'
  return text.length <= LONGEST_QUOTE ? text : `${text.slice(0, LONGEST_QUOTE)}...`
}

const CONTROLS = /\p{Cc}+|[\u2028\u2029]/gu

/** Text from elsewhere (a parser, the system) made fit for one line. */
export const oneLine = (text: string): string => text.replace(CONTROLS, ' ').trim()

interface PlacedProblem {
  readonly line: number
  readonly option: string
  readonly problem: string
}

const place = (problem: Problem, lineOf: (path: OptionPath) => number): PlacedProblem => ({
  line: problem.line ?? lineOf(problem.path),
  option: formatPath(problem.path),
  problem: oneLine(problem.message),
})

const lineText = (fileName: string, { line, option, problem }: PlacedProblem): string =>
  [`${oneLine(fileName)}:${String(line)}`, option, problem].filter((part) => part !== '').join(': ')

/** Whoever has more has most likely named the wrong file. */
const MOST_PROBLEMS = 100

/**
 * All problems as one CONFIG_INVALID error: its message has one line for each, in the order of the
 * file; `details` holds the same as file, line, option and problem.
 */
export const configError = (
  fileName: string,
  problems: readonly Problem[],
  lineOf: (path: OptionPath) => number,
): KmeError => {
  const placed = problems
    .slice(0, MOST_PROBLEMS)
    .map((problem) => place(problem, lineOf))
    .sort((a, b) => a.line - b.line)
  const lines = placed.map((problem) => lineText(fileName, problem))
  const more = problems.length - placed.length
  if (more > 0) lines.push(`${oneLine(fileName)}: and ${String(more)} more problems`)
  return new KmeError('CONFIG_INVALID', lines.join('\n'), {
    details: placed.map((problem) => ({ file: fileName, ...problem })),
  })
}

/** The file as a whole cannot be read: one line without line number. */
export const fileError = (fileName: string, problem: string, cause?: unknown): KmeError =>
  new KmeError('CONFIG_INVALID', `${oneLine(fileName)}: ${problem}`, {
    ...(cause === undefined ? {} : { cause }),
    details: [{ file: fileName, problem }],
  })
