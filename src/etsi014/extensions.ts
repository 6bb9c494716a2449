import { type JsonObject, isJsonObject } from './json-body.ts'
import { STANDARD_TEXTS, badRequest } from './errors.ts'
import { msOfSeconds } from '../model/units.ts'

/** What the mandatory extensions of a request ask for. */
export interface MandatoryOptions {
  readonly maxAgeMs: number | null
}

const NO_OPTIONS: MandatoryOptions = { maxAgeMs: null }

/** Only key that was received at most so many seconds ago: the one mandatory extension known here. */
const MAX_AGE = 'max_age_s'
const MOST_SECONDS = 2 ** 31 - 1

/**
 * The entries of an extension member. One object instead of an array of one is taken as well: there
 * are clients that send it.
 */
const entriesOf = (value: unknown, member: string): readonly JsonObject[] => {
  const entries: readonly unknown[] = isJsonObject(value) ? [value] : asArray(value, member)
  return entries.map((entry, i) => {
    if (!isJsonObject(entry)) throw badRequest(`${member}[${i}] shall be an object`)
    return entry
  })
}

const asArray = (value: unknown, member: string): readonly unknown[] => {
  if (!Array.isArray(value)) throw badRequest(`${member} shall be an array of objects`)
  return value
}

const maxAgeMs = (value: unknown): number => {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= MOST_SECONDS) {
    return msOfSeconds(value)
  }
  throw badRequest(
    `extension_mandatory: ${MAX_AGE} shall be an integer from 1 to ${MOST_SECONDS} seconds`,
  )
}

/** @throws KmeError BAD_REQUEST, with the standard's text where an extension is not known here */
export const parseMandatory = (value: unknown): MandatoryOptions => {
  if (value === undefined) return NO_OPTIONS
  const named = entriesOf(value, 'extension_mandatory').flatMap((entry) => Object.entries(entry))
  const unknown = new Set(named.map(([name]) => name).filter((name) => name !== MAX_AGE))
  if (unknown.size > 0) {
    throw badRequest(
      STANDARD_TEXTS.mandatoryUnknown,
      Array.from(unknown, (name) => ({
        extension_mandatory_unsupported: `${name} is not supported`,
      })),
    )
  }
  // Named twice, both hold.
  const ages = named.map(([, age]) => maxAgeMs(age))
  return ages.length === 0 ? NO_OPTIONS : { maxAgeMs: Math.min(...ages) }
}

/** Optional extensions are ignored, but have to have the form of some. @throws KmeError BAD_REQUEST */
export const checkOptional = (value: unknown): void => {
  if (value !== undefined) entriesOf(value, 'extension_optional')
}
