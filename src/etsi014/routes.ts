import express, { type NextFunction, type Request, type Response } from 'express'
import type { IncomingMessage } from 'node:http'
import type { KeyDelivery } from '../delivery/key-delivery.ts'
import type { LocalSae } from '../ports/destination.ts'
import type { Observer } from '../ports/observer.ts'
import {
  RequestAborted,
  checkEncoding,
  discardBody,
  discardRest,
  drainBody,
  readJsonBody,
} from './request-body.ts'
import { RequestRefusal, answerOf, badRequest } from './errors.ts'
import {
  checkNoQuery,
  parseKeyIdQuery,
  parseKeyIds,
  parseKeyQuery,
  parseKeyRequest,
} from './parse-request.ts'
import { checkSaeId, queryOf, targetOf } from './target.ts'
import { deliveredContainer, fetchedContainer } from './key-container.ts'
import { KEY_REQUEST_MEMBERS, statusMessage } from './messages.ts'
import { type Query, parseQuery } from './query.ts'
import { sendJson, sendKeys, sendLastJson } from './respond.ts'
import type { JsonLimits } from './json-body.ts'
import { messageOf } from '../errors.ts'

/** Who sends a request, found out from its connection for this very request. */
export type CallerIdentity =
  | { readonly kind: 'sae'; readonly sae: LocalSae }
  /** `reason`: one line for the operator; the client reads a fixed sentence. */
  | { readonly kind: 'refused'; readonly reason: string }

export interface KeyRoutesParts {
  readonly delivery: KeyDelivery
  readonly identify: (request: IncomingMessage) => CallerIdentity
  /** "host:port" of this KME, for request targets in absolute form. */
  readonly ownAuthorities: () => readonly string[]
  readonly observer: Observer
  /** Longest body of a request: see `bodyLimitFor`. */
  readonly maxBodyBytes: number
}

const LEAST_BODY_LIMIT = 16_384
/** A key ID takes 49 bytes; there are clients that add members to each. */
const BODY_BYTES_PER_KEY = 128
const MAX_JSON_DEPTH = 32
/** A body of key IDs has two strings in 49 bytes; clients that add members come to four. */
const LEAST_BYTES_PER_STRING = 16

/** Longest body that a KME has to read which delivers so many keys per request: 16 KiB or more. */
export const bodyLimitFor = (maxKeysPerRequest: number): number =>
  Math.max(LEAST_BODY_LIMIT, maxKeysPerRequest * BODY_BYTES_PER_KEY)

interface Call {
  readonly caller: LocalSae
  /** The SAE in the path. */
  readonly saeId: string
  readonly query: Query
  /** Empty with GET. */
  readonly body: Buffer
  readonly response: Response
}

const NOT_REGISTERED = 'the certificate is not that of a registered SAE, or no longer valid'

type Method = 'GET' | 'POST'
type Work = (call: Call) => void | Promise<void>
type Methods = Readonly<Partial<Record<Method, Work>>>

const isMethod = (method: string | undefined): method is Method =>
  method === 'GET' || method === 'POST'

/** HEAD is refused like every other method: it must not draw keys. */
const workOf = (methods: Methods, method: string | undefined): Work => {
  const work = isMethod(method) ? methods[method] : undefined
  if (work) return work
  const allow = Object.keys(methods).join(', ')
  throw new RequestRefusal(405, `the method shall be ${allow.replace(', ', ' or ')}`, [
    'Allow',
    allow,
  ])
}

type CallerOf = (request: IncomingMessage) => LocalSae

/** Authenticates each request by itself; a refusal is told to the operator once per connection. */
const callerFrom = ({ identify, observer }: KeyRoutesParts): CallerOf => {
  const told = new WeakSet<object>()
  return (request) => {
    const identity = identify(request)
    if (identity.kind === 'sae') return identity.sae
    if (!told.has(request.socket)) {
      told.add(request.socket)
      observer.event({
        level: 'warn',
        name: 'etsi014.caller.refused',
        message: `a client was refused: ${identity.reason}`,
      })
    }
    throw new RequestRefusal(401, NOT_REGISTERED)
  }
}

const worksOf = (delivery: KeyDelivery, limits: JsonLimits) => {
  const getStatus: Work = ({ caller, saeId, response }) => {
    const status = statusMessage(delivery.status(caller, saeId))
    sendJson(response, 200, Buffer.from(JSON.stringify(status)))
  }
  const getKey: Work = async ({ caller, saeId, query, response }) => {
    const keys = await delivery.getKey(caller, parseKeyQuery(saeId, query))
    sendKeys(response, deliveredContainer(keys))
  }
  const postKey: Work = async ({ caller, saeId, query, body, response }) => {
    checkNoQuery(query, KEY_REQUEST_MEMBERS)
    const keys = await delivery.getKey(caller, parseKeyRequest(saeId, body, limits))
    sendKeys(response, deliveredContainer(keys))
  }
  const getKeyWithId: Work = async ({ caller, saeId, query, response }) => {
    const keys = await delivery.fetchKeys(caller, parseKeyIdQuery(saeId, query))
    sendKeys(response, fetchedContainer(keys))
  }
  const postKeyIds: Work = async ({ caller, saeId, query, body, response }) => {
    checkNoQuery(query, ['key_ID', 'key_IDs'])
    const keys = await delivery.fetchKeys(caller, parseKeyIds(saeId, body, limits))
    sendKeys(response, fetchedContainer(keys))
  }
  return {
    status: { GET: getStatus },
    enc_keys: { GET: getKey, POST: postKey },
    dec_keys: { GET: getKeyWithId, POST: postKeyIds },
  } satisfies Record<string, Methods>
}

/** Cheapest checks first; nothing of a request is read before its sender is known. */
const handlerOf =
  (callerOf: CallerOf, maxBodyBytes: number, methods: Methods) =>
  async (request: Request<{ saeId: string }>, response: Response): Promise<void> => {
    const work = workOf(methods, request.method)
    const caller = callerOf(request)
    checkEncoding(request)
    const isPost = request.method === 'POST'
    const body = isPost ? await readJsonBody(request, maxBodyBytes) : Buffer.alloc(0)
    if (!isPost) await discardBody(request, maxBodyBytes)
    const saeId = checkSaeId(request.params.saeId)
    await work({ caller, saeId, query: parseQuery(queryOf(request.url)), body, response })
  }

const tell = (observer: Observer, error: unknown): void => {
  const stack = error instanceof Error ? (error.stack ?? '') : ''
  observer.event({
    level: 'error',
    name: 'etsi014.request.failed',
    message: `a request of an SAE failed inside the KME: ${messageOf(error)}`,
    fields: { stack },
  })
}

/** The router's complaint about percent-encoding comes before any handler: the sender is asked for first. */
const causeOf = (callerOf: CallerOf, error: unknown, request: Request): unknown => {
  if (!(error instanceof URIError)) return error
  try {
    callerOf(request)
    return badRequest('the SAE ID in the path is not valid percent-encoding')
  } catch (refusal) {
    return refusal
  }
}

const refuse = async (
  parts: KeyRoutesParts,
  error: unknown,
  request: Request,
  response: Response,
): Promise<void> => {
  if (error instanceof RequestAborted) throw error
  const { status, body, headers, internal } = answerOf(error)
  if (internal) tell(parts.observer, error)
  if (await drainBody(request)) sendJson(response, status, body, headers)
  else await sendLastJson(response, status, body, { headers, rest: () => discardRest(request) })
}

/**
 * The key delivery API of ETSI GS QKD 014: its three paths, and an Error object for whatever else
 * is asked for. Mounted at the root of a listener, behind nothing: requests are not changed by
 * anybody before, and every answer comes from here.
 */
export const createKeyRoutes = (parts: KeyRoutesParts): express.Express => {
  const { maxBodyBytes } = parts
  const maxStrings = Math.floor(maxBodyBytes / LEAST_BYTES_PER_STRING)
  const works = worksOf(parts.delivery, { maxDepth: MAX_JSON_DEPTH, maxStrings })
  const callerOf = callerFrom(parts)
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.disable('query parser')
  app.enable('strict routing')
  app.enable('case sensitive routing')
  app.use((request: Request, _response: Response, next: NextFunction) => {
    request.url = targetOf(request, parts.ownAuthorities)
    next()
  })
  for (const [name, methods] of Object.entries(works)) {
    app.all(`/api/v1/keys/:saeId/${name}`, handlerOf(callerOf, maxBodyBytes, methods))
  }
  app.use(() => {
    throw new RequestRefusal(404, 'no such path: the API is /api/v1/keys/{SAE_ID}/...')
  })
  app.use(async (error: unknown, request: Request, response: Response, _next: NextFunction) => {
    try {
      await refuse(parts, causeOf(callerOf, error, request), request, response)
    } catch (failure) {
      // Nobody is left to answer to.
      response.destroy()
      if (!(failure instanceof RequestAborted)) tell(parts.observer, failure)
    }
  })
  return app
}
