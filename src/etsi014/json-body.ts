import { isUtf8 } from 'node:buffer'
import { badRequest } from './errors.ts'

export interface JsonLimits {
  /** Objects and arrays in each other. */
  readonly maxDepth: number
  /** Strings, names of members included: what makes a small body expensive. */
  readonly maxStrings: number
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPENING: ReadonlySet<number> = new Set([0x5b, 0x7b])
const CLOSING: ReadonlySet<number> = new Set([0x5d, 0x7d])

/** Index of the quote that ends the string which begins at `start`, or the end of the text. */
const endOfString = (text: Buffer, start: number): number => {
  let at = start + 1
  while (at < text.length && text[at] !== QUOTE) at += text[at] === BACKSLASH ? 2 : 1
  return at
}

/** Counts before anything is built of the text. Whether it is JSON at all is for the parser to say. */
const checkLimits = (text: Buffer, { maxDepth, maxStrings }: JsonLimits): void => {
  let depth = 0
  let strings = 0
  for (let at = 0; at < text.length; at += 1) {
    const byte = text[at] ?? 0
    if (byte === QUOTE) {
      strings += 1
      at = endOfString(text, at)
    } else if (OPENING.has(byte)) depth += 1
    else if (CLOSING.has(byte)) depth -= 1
    if (depth > maxDepth) throw badRequest(`the JSON body is nested deeper than ${maxDepth}`)
    if (strings > maxStrings) throw badRequest(`the JSON body has more than ${maxStrings} strings`)
  }
}

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown
  } catch {
    // The parser's message quotes the body, which an error must not repeat.
    throw badRequest('the body is not valid JSON')
  }
}

export type JsonObject = Readonly<Record<string, unknown>>

export const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * The JSON object that a body holds (RFC 8259: UTF-8 without a byte order mark); where a member
 * occurs twice, the last one counts.
 * @throws KmeError BAD_REQUEST
 */
export const parseJsonObject = (body: Buffer, limits: JsonLimits): JsonObject => {
  if (!isUtf8(body)) throw badRequest('the body is not valid UTF-8')
  checkLimits(body, limits)
  const value = parse(body.toString('utf8'))
  if (!isJsonObject(value)) throw badRequest('the body shall be a JSON object')
  return value
}
