import { KmeError } from '../errors.ts'
import { decodeBase64 } from './base64.ts'
import { wipe } from '../support/wipe.ts'

/**
 * Takes the keys out of the JSON of a key container before a JSON parser sees it, for whatever the
 * parser sees becomes strings, which cannot be wiped.
 */

export interface TakenKeys {
  /** JSON in which the value of each "key" member is the index of the key, as a string. */
  readonly text: string
  /** The caller owns and wipes them. */
  readonly keys: readonly Buffer[]
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COLON = 0x3a
const SLASH = 0x2f
const SPACE = 0x20
const BLANKS: ReadonlySet<number | undefined> = new Set([SPACE, 0x09, 0x0a, 0x0d])
const KEY_MEMBER = Buffer.from('key', 'latin1')

const malformed = (): KmeError => new KmeError('PROTOCOL', 'the KME answered with a malformed key')

/** Index of the quote that ends the string whose content begins at `start`. */
const endOfString = (json: Buffer, start: number): number => {
  let at = start
  while (at < json.length && json[at] !== QUOTE) at += json[at] === BACKSLASH ? 2 : 1
  return Math.min(at, json.length)
}

const skipBlanks = (json: Buffer, start: number): number => {
  let at = start
  while (BLANKS.has(json[at])) at += 1
  return at
}

/** Where the string value begins (after its quote) of the member whose name ended before `at`, or -1. */
const stringValueAt = (json: Buffer, at: number): number => {
  const colon = skipBlanks(json, at)
  if (json[colon] !== COLON) return -1
  const quote = skipBlanks(json, colon + 1)
  return json[quote] === QUOTE ? quote + 1 : -1
}

/** Base64 may be written with "\/" for "/": JSON allows it. The caller wipes the copy. */
const unescaped = (content: Buffer): Buffer => {
  const plain = Buffer.alloc(content.length)
  let to = 0
  for (let from = 0; from < content.length; from += 1, to += 1) {
    if (content[from] === BACKSLASH && content[from + 1] === SLASH) from += 1
    plain[to] = content[from] ?? 0
  }
  return plain.subarray(0, to)
}

const decodeKey = (content: Buffer): Buffer => {
  const plain = unescaped(content)
  const key = decodeBase64(plain)
  wipe(plain)
  if (key === null || key.length === 0) throw malformed()
  return key
}

const replace = (content: Buffer, index: number): void => {
  const digits = String(index)
  if (digits.length > content.length) throw malformed()
  content.fill(SPACE)
  content.write(digits, 'latin1')
}

/**
 * Wipes `json` in any case.
 * @throws KmeError PROTOCOL where a key is no base64 text
 */
export const takeKeys = (json: Buffer): TakenKeys => {
  const keys: Buffer[] = []
  try {
    for (let at = json.indexOf(QUOTE); at >= 0; at = json.indexOf(QUOTE, at)) {
      const end = endOfString(json, at + 1)
      const isKey = json.subarray(at + 1, end).equals(KEY_MEMBER)
      const start = isKey ? stringValueAt(json, end + 1) : -1
      at = end + 1
      if (start < 0) continue
      const content = json.subarray(start, endOfString(json, start))
      keys.push(decodeKey(content))
      replace(content, keys.length - 1)
      at = start + content.length + 1
    }
    return { text: json.toString('utf8'), keys }
  } catch (error) {
    wipe(...keys)
    throw error
  } finally {
    wipe(json)
  }
}
