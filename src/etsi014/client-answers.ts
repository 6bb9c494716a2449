import type { HttpAnswer } from './client-http.ts'
import { type JsonObject, isJsonObject } from './json-body.ts'
import { KmeError, type KmeErrorCode } from '../errors.ts'
import type { KeyMessage, StatusMessage } from './messages.ts'
import { STANDARD_TEXTS } from './errors.ts'
import { isUuid } from '../model/key-id.ts'
import { takeKeys } from './key-text.ts'
import { wipe } from '../support/wipe.ts'

/** Answers of a KME, checked: another maker's KME may say anything. */

const protocolError = (what: string): KmeError =>
  new KmeError('PROTOCOL', `the KME's answer cannot be used: ${what}`)

const parseObject = (text: string): JsonObject => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw protocolError('it is not JSON')
  }
  if (!isJsonObject(value)) throw protocolError('it is not a JSON object')
  return value
}

const CODES: Readonly<Record<number, KmeErrorCode>> = {
  400: 'BAD_REQUEST',
  401: 'UNAUTHORIZED',
  503: 'NOT_READY',
}

const CODES_BY_TEXT: Readonly<Record<string, KmeErrorCode>> = {
  [STANDARD_TEXTS.keysNotFound.toLowerCase()]: 'KEY_NOT_FOUND',
  [STANDARD_TEXTS.mandatoryNotMet.toLowerCase()]: 'OPTIONS_NOT_MET',
}

const CONTROL = /\p{Cc}/gu
const MAX_TEXT_CHARACTERS = 500

/** Safe for a terminal, and one line. */
const readMessage = (body: Buffer): string => {
  try {
    const { message } = parseObject(body.toString('utf8'))
    if (typeof message !== 'string') return 'no message'
    return message.replaceAll(CONTROL, ' ').slice(0, MAX_TEXT_CHARACTERS)
  } catch {
    return 'no Error object'
  }
}

/** What an answer other than 200 means; UNAUTHORIZED, BAD_REQUEST, KEY_NOT_FOUND, OPTIONS_NOT_MET, NOT_READY or PROTOCOL. */
export const errorOf = ({ status, body }: HttpAnswer): KmeError => {
  const message = readMessage(body)
  const standard = status === 400 ? CODES_BY_TEXT[message.trim().toLowerCase()] : undefined
  const code =
    standard ?? CODES[status] ?? (status >= 400 && status < 500 ? 'BAD_REQUEST' : 'PROTOCOL')
  return new KmeError(code, `the KME answered ${status}: ${message}`)
}

const COUNTS = [
  'key_size',
  'stored_key_count',
  'max_key_count',
  'max_key_per_request',
  'max_key_size',
  'min_key_size',
  'max_SAE_ID_count',
] as const satisfies readonly (keyof StatusMessage)[]

const NAMES = [
  'source_KME_ID',
  'target_KME_ID',
  'master_SAE_ID',
  'slave_SAE_ID',
] as const satisfies readonly (keyof StatusMessage)[]

const isCount = (value: unknown): boolean =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 31

const hasStatusMembers = (value: JsonObject): value is JsonObject & StatusMessage =>
  NAMES.every((name) => typeof value[name] === 'string') &&
  COUNTS.every((name) => isCount(value[name]))

/** @throws KmeError PROTOCOL where a member is missing, or the numbers contradict each other */
export const readStatus = (body: Buffer): StatusMessage => {
  const status = parseObject(body.toString('utf8'))
  const bad = [...NAMES, ...COUNTS].find((name) =>
    (NAMES as readonly string[]).includes(name)
      ? typeof status[name] !== 'string'
      : !isCount(status[name]),
  )
  if (!hasStatusMembers(status)) throw protocolError(`status has no proper ${bad ?? 'members'}`)
  const { min_key_size: least, key_size: size, max_key_size: most } = status
  if (least > size || size > most) throw protocolError('its key sizes contradict each other')
  if (status.stored_key_count > status.max_key_count) {
    throw protocolError('it stores more keys than it can')
  }
  return status
}

const readKey = (entry: unknown, keys: readonly Buffer[]): KeyMessage => {
  if (!isJsonObject(entry)) throw protocolError('a key is not an object')
  const { key_ID: keyId, key: index } = entry
  if (typeof keyId !== 'string' || !isUuid(keyId)) throw protocolError('a key_ID is not a UUID')
  const key = typeof index === 'string' ? keys[Number(index)] : undefined
  if (key === undefined) throw protocolError('an entry has no key')
  return { key_ID: keyId.toLowerCase(), key }
}

const readKeys = (text: string, keys: readonly Buffer[]): readonly KeyMessage[] => {
  const { keys: entries } = parseObject(text)
  if (!Array.isArray(entries)) throw protocolError('it has no keys')
  const messages = entries.map((entry) => readKey(entry, keys))
  const used = new Set(messages.map(({ key }) => key))
  const ids = new Set(messages.map(({ key_ID }) => key_ID))
  if (used.size !== keys.length || used.size !== messages.length) {
    throw protocolError('a key is in the wrong place')
  }
  if (ids.size !== messages.length) throw protocolError('it has a key ID twice')
  return messages
}

/**
 * Wipes the body. The caller owns the keys and wipes them.
 * @throws KmeError PROTOCOL
 */
export const readKeyContainer = (body: Buffer): readonly KeyMessage[] => {
  const { text, keys } = takeKeys(body)
  try {
    return readKeys(text, keys)
  } catch (error) {
    wipe(...keys)
    throw error
  }
}
