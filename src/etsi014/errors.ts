import { KmeError, type KmeErrorCode } from '../errors.ts'
import type { ErrorMessage } from './messages.ts'

/** Texts that the standard prescribes (5.3, 5.4): clients compare them. */
export const STANDARD_TEXTS = {
  mandatoryUnknown: 'not all extension_mandatory parameters are supported',
  mandatoryNotMet: 'not all extension_mandatory request options could be met',
  keysNotFound: 'one or more keys specified are not found on KME',
} as const

/** 014 knows 400, 401 and 503: whatever fails inside this KME is an error on its side. */
const STATUSES = {
  BAD_REQUEST: 400,
  SLAVE_UNKNOWN: 400,
  UNAUTHORIZED: 401,
  KEY_NOT_FOUND: 400,
  OPTIONS_NOT_MET: 400,
  KEYS_EXHAUSTED: 503,
  PEER_UNAVAILABLE: 503,
  NOT_READY: 503,
  USAGE: 503,
  CONFIG_INVALID: 503,
  PKI_INVALID: 503,
  LISTEN_FAILED: 503,
  RUNTIME_TOO_OLD: 503,
  STORE_LOCKED: 503,
  STORE_SCHEMA: 503,
  STORE_FAILED: 503,
  STORE_CORRUPT: 503,
  SEALING_FAILED: 503,
  DRIVER_FAILED: 503,
  PROTOCOL: 503,
  LIFE_ENDED: 503,
  INTERNAL: 503,
} satisfies Record<KmeErrorCode, number>

/** Those whose message was written for the caller; what else fails inside is not the caller's to read. */
const FOR_CALLERS: ReadonlySet<KmeErrorCode> = new Set([
  'BAD_REQUEST',
  'SLAVE_UNKNOWN',
  'UNAUTHORIZED',
  'KEYS_EXHAUSTED',
  'PEER_UNAVAILABLE',
  'NOT_READY',
])

const FIXED_TEXTS: Readonly<Partial<Record<KmeErrorCode, string>>> = {
  KEY_NOT_FOUND: STANDARD_TEXTS.keysNotFound,
  OPTIONS_NOT_MET: STANDARD_TEXTS.mandatoryNotMet,
}

const INTERNAL_TEXT = 'the KME cannot serve this request now'

/** An answer that HTTP, not the standard, calls for: 404, 405, 413, 415, and 400 for a broken request. */
export class RequestRefusal extends Error {
  readonly status: number
  /** Names and values in turn. */
  readonly headers: readonly string[]

  constructor(status: number, message: string, headers: readonly string[] = []) {
    super(message)
    this.name = 'RequestRefusal'
    this.status = status
    this.headers = headers
  }
}

/** A 400 of the standard: the request breaks a rule of the API. */
export const badRequest = (
  message: string,
  details?: readonly Readonly<Record<string, unknown>>[],
): KmeError => new KmeError('BAD_REQUEST', message, details === undefined ? {} : { details })

/** The Error object of 6.5, as bytes of JSON. */
export const errorBody = (message: string, details?: ErrorMessage['details']): Buffer => {
  const error: ErrorMessage = details === undefined ? { message } : { message, details }
  return Buffer.from(JSON.stringify(error))
}

/** The same for a listener, which has to answer to what never became a request. */
export const listenerErrorBody = (
  _status: number,
  reason: string,
): { readonly contentType: string; readonly body: string } => ({
  contentType: JSON_TYPE,
  body: errorBody(reason).toString('utf8'),
})

export const JSON_TYPE = 'application/json'

export interface ErrorAnswer {
  readonly status: number
  readonly body: Buffer
  readonly headers: readonly string[]
  /** Whether an operator has to hear of it: it was not the caller's doing. */
  readonly internal: boolean
}

const retryAfter = ({ retryAfterS }: KmeError): readonly string[] =>
  retryAfterS === undefined ? [] : ['Retry-After', String(Math.max(1, Math.ceil(retryAfterS)))]

const answerOfKmeError = (error: KmeError): ErrorAnswer => {
  const { code } = error
  const status = STATUSES[code]
  const text = FIXED_TEXTS[code] ?? (FOR_CALLERS.has(code) ? error.message : INTERNAL_TEXT)
  return {
    status,
    body: errorBody(text, status === 503 ? undefined : error.details),
    headers: status === 503 ? retryAfter(error) : [],
    // A life that ended under a call is how a link starts anew, and no fault.
    internal: text === INTERNAL_TEXT && code !== 'LIFE_ENDED',
  }
}

/** What to answer where a request failed. */
export const answerOf = (error: unknown): ErrorAnswer => {
  if (error instanceof KmeError) return answerOfKmeError(error)
  if (error instanceof RequestRefusal) {
    const { status, message, headers } = error
    return { status, body: errorBody(message), headers, internal: false }
  }
  return { status: 503, body: errorBody(INTERNAL_TEXT), headers: [], internal: true }
}
