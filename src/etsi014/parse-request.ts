import type { FetchKeysRequest, GetKeyRequest } from '../delivery/requests.ts'
import { type JsonLimits, type JsonObject, isJsonObject, parseJsonObject } from './json-body.ts'
import { KEY_REQUEST_MEMBERS, type KeyRequestMember } from './messages.ts'
import { type Query, single, singleInteger } from './query.ts'
import { checkOptional, parseMandatory } from './extensions.ts'
import { badRequest } from './errors.ts'

/** From what came in a request to what key delivery is asked for. All throw KmeError BAD_REQUEST. */

const optionalInteger = (body: JsonObject, member: KeyRequestMember): number | null => {
  const value = body[member]
  if (value === undefined) return null
  if (typeof value === 'number' && Number.isInteger(value)) return value
  throw badRequest(`${member} shall be an integer`)
}

const additionalSlaves = (value: unknown): readonly string[] | null => {
  if (value === undefined) return null
  const isList = Array.isArray(value) && value.every((item) => typeof item === 'string')
  if (isList) return value
  throw badRequest('additional_slave_SAE_IDs shall be an array of strings')
}

/** 5.3 with POST; an empty body asks for the defaults. */
export const parseKeyRequest = (
  slaveId: string,
  body: Buffer,
  limits: JsonLimits,
): GetKeyRequest => {
  const message = body.length === 0 ? {} : parseJsonObject(body, limits)
  checkOptional(message['extension_optional'])
  return {
    slaveId,
    keyCount: optionalInteger(message, 'number'),
    keySizeBits: optionalInteger(message, 'size'),
    additionalSlaveIds: additionalSlaves(message['additional_slave_SAE_IDs']),
    maxAgeMs: parseMandatory(message['extension_mandatory']).maxAgeMs,
  }
}

/** 5.3 with GET: only number and size. What else the request could hold would be lost silently. */
export const parseKeyQuery = (slaveId: string, query: Query): GetKeyRequest => {
  for (const member of KEY_REQUEST_MEMBERS) {
    if (member === 'number' || member === 'size' || !query.has(member)) continue
    throw badRequest(`${member} cannot be given with GET: use POST`)
  }
  return {
    slaveId,
    keyCount: singleInteger(query, 'number'),
    keySizeBits: singleInteger(query, 'size'),
    additionalSlaveIds: null,
    maxAgeMs: null,
  }
}

/** With POST a parameter in the query string would be ignored, and another key count delivered than asked for. */
export const checkNoQuery = (query: Query, members: readonly string[]): void => {
  const found = members.find((member) => query.has(member))
  if (found !== undefined) throw badRequest(`${found} shall be in the body of a POST`)
}

const keyIdOfEntry = (entry: unknown, i: number): string => {
  if (!isJsonObject(entry)) throw badRequest(`key_IDs[${i}] shall be an object`)
  const keyId = entry['key_ID']
  if (typeof keyId !== 'string') throw badRequest(`key_IDs[${i}].key_ID shall be a string`)
  return keyId
}

/** 5.4 with POST. */
export const parseKeyIds = (
  masterId: string,
  body: Buffer,
  limits: JsonLimits,
): FetchKeysRequest => {
  const entries = body.length === 0 ? undefined : parseJsonObject(body, limits)['key_IDs']
  if (!Array.isArray(entries)) throw badRequest('key_IDs shall be an array of objects')
  return { masterId, keyIds: entries.map(keyIdOfEntry) }
}

/** 5.4 with GET: one key. */
export const parseKeyIdQuery = (masterId: string, query: Query): FetchKeysRequest => {
  const keyId = single(query, 'key_ID')
  if (keyId === null) throw badRequest('key_ID shall be in the query string')
  return { masterId, keyIds: [keyId] }
}
