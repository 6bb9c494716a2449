import type * as z from 'zod'
import { type OptionPath, type Problem, quote } from './problem.ts'
import { type SchemaNode, type SchemaPlace, configJsonSchema, placeOf } from './schema-view.ts'
import { nearest } from './suggest.ts'

type Issue = z.core.$ZodIssue

const NAMES_OF_TYPES: Readonly<Record<string, string>> = {
  array: 'a list',
  object: 'a group of options',
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
}

const nameOfType = (type: string): string => NAMES_OF_TYPES[type] ?? type

/** What stands in the file, for "got ...": plain values as they are, the rest by their kind. */
const got = (value: unknown): string => {
  if (value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'a group of options' : quote(value)
}

const missing = (place: SchemaPlace): string =>
  place.description === undefined ? 'is missing' : `is missing: ${place.description}`

const UNITS: Readonly<Record<string, string>> = { string: ' characters', array: ' entries' }

const sizeOf = (value: unknown): string =>
  typeof value === 'string' || Array.isArray(value) ? String(value.length) : got(value)

type Bound = z.core.$ZodIssueTooBig | z.core.$ZodIssueTooSmall

const limitOf = (issue: Bound): string => {
  const inclusive = issue.inclusive !== false
  return issue.code === 'too_big'
    ? `${inclusive ? 'at most' : 'less than'} ${String(issue.maximum)}`
    : `${inclusive ? 'at least' : 'more than'} ${String(issue.minimum)}`
}

const bound = (issue: Bound, value: unknown): string =>
  `expected ${limitOf(issue)}${UNITS[issue.origin] ?? ''}, got ${sizeOf(value)}`

const wrongType = (issue: z.core.$ZodIssueInvalidType, place: SchemaPlace): string =>
  `expected ${nameOfType(place.whole ? 'int' : issue.expected)}, got ${got(place.value)}`

const oneOf = (values: readonly unknown[], value: unknown): string => {
  const words = values.map((each) => String(each))
  const hint = typeof value === 'string' ? nearest(value, words) : undefined
  const expected = words.length === 1 ? words.join('') : `one of ${words.join(', ')}`
  const meant = hint === undefined || words.length === 1 ? '' : `; did you mean ${hint}?`
  return `expected ${expected}, got ${got(value)}${meant}`
}

const unionMessage = (issue: z.core.$ZodIssueInvalidUnion, value: unknown): string => {
  const options = (issue as { options?: readonly unknown[] }).options
  return options === undefined
    ? `does not have any of the allowed forms, got ${got(value)}`
    : oneOf(options, value)
}

/** What a choice among words says; texts that the schema itself gives stand as they are. */
const choice = (issue: Issue, value: unknown): string => {
  if (issue.code === 'invalid_union') return unionMessage(issue, value)
  if (issue.code === 'invalid_key') return issue.issues[0]?.message ?? issue.message
  const ours = issue.code === 'invalid_value' && issue.message.startsWith('Invalid ')
  return ours ? oneOf(issue.values, value) : issue.message
}

const messageOfIssue = (issue: Issue, place: SchemaPlace): string => {
  const { value } = place
  if (value === undefined && issue.code !== 'custom') return missing(place)
  if (issue.code === 'invalid_type') return wrongType(issue, place)
  if (issue.code === 'too_big' || issue.code === 'too_small') return bound(issue, value)
  if (issue.code !== 'not_multiple_of') return choice(issue, value)
  return `expected a multiple of ${String(issue.divisor)}, got ${got(value)}`
}

const unknownOption = (path: OptionPath, key: string, members: readonly string[]): Problem => {
  const hint = nearest(key, members)
  return {
    path: [...path, key],
    message: hint === undefined ? 'unknown option' : `unknown option; did you mean ${hint}?`,
  }
}

const problemsOfIssue = (schema: SchemaNode, root: unknown, issue: Issue): readonly Problem[] => {
  const path = issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step))
  const place = placeOf(schema, root, path)
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => unknownOption(path, key, place.members))
  }
  return [{ path, message: messageOfIssue(issue, place) }]
}

/** What zod found wrong with a configuration, in words of the file, one problem per option. */
export const problemsOfIssues = (issues: readonly Issue[], root: unknown): readonly Problem[] => {
  const schema = configJsonSchema()
  return issues.flatMap((issue) => problemsOfIssue(schema, root, issue))
}
