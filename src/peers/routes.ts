import type { IncomingMessage, ServerResponse } from 'node:http'
import express from 'express'
import type { Express, NextFunction, Request, Response } from 'express'
import { encode, helloSchema, requestSchema } from './messages.ts'
import { KmeError, isKmeError } from '../errors.ts'
import type { KmeId, LinkId } from '../model/ids.ts'
import type { Observer } from '../ports/observer.ts'
import type { PeerHandler } from '../ports/peer.ts'
import type { z } from 'zod'

export const MOST_REQUEST_BYTES = 16 * 1024 * 1024

export interface PeerRoutesParts {
  readonly kmeId: KmeId
  /** The KME that the certificate of the connection names, or null. */
  readonly identify: (request: IncomingMessage) => KmeId | null
  /** The link, if it is one with that peer: a peer can touch no other. */
  readonly linkOf: (linkId: LinkId, peerKmeId: KmeId) => PeerHandler | null
  readonly observer: Observer
}

/** The peer listener's routes: POST /peer/v1/links/{linkId}/hello and .../messages. */
export const createPeerRoutes = (parts: PeerRoutesParts): Express => {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.enable('strict routing')
  app.enable('case sensitive routing')
  app.use((request: Request, response: Response, next: NextFunction) => {
    response.setHeader('Cache-Control', 'no-store')
    const encoding = request.headers['content-encoding']
    if (encoding !== undefined && encoding !== 'identity') refuse(response, 415, 'no encodings')
    else next()
  })
  const json = express.json({ limit: MOST_REQUEST_BYTES, inflate: false, type: () => true })
  app.post('/peer/v1/links/:linkId/hello', json, async (request, response) => {
    const link = handlerOf(parts, request)
    const question = parse(helloSchema, request.body)
    send(response, 200, await link.hello(question))
  })
  app.post('/peer/v1/links/:linkId/messages', json, async (request, response) => {
    const link = handlerOf(parts, request)
    const { nonce, stamp, messages } = parse(requestSchema, request.body)
    const answers = await link.receive(stamp, messages)
    send(response, 200, { nonce, kmeId: parts.kmeId, answers })
  })
  app.use((_request: Request, response: Response) => {
    refuse(response, 404, 'no such path')
  })
  app.use(errorHandler(parts.observer))
  return app
}

const handlerOf = ({ identify, linkOf }: PeerRoutesParts, request: Request): PeerHandler => {
  const peerKmeId = identify(request)
  if (peerKmeId === null) throw new KmeError('UNAUTHORIZED', 'the certificate names no peer KME')
  const linkId = request.params['linkId']
  const link = typeof linkId === 'string' ? linkOf(linkId, peerKmeId) : null
  if (!link) throw new KmeError('UNAUTHORIZED', 'there is no such link with this peer KME')
  return link
}

const parse = <T>(schema: z.ZodType<T>, body: unknown): T => {
  const result = schema.safeParse(body)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const where = issue ? `${issue.path.join('.')}: ${issue.message}` : ''
  throw new KmeError('PROTOCOL', `message not understood: ${where}`)
}

const errorHandler =
  (observer: Observer) =>
  (error: unknown, _request: Request, response: Response, _next: NextFunction): void => {
    if (isKmeError(error, 'UNAUTHORIZED')) refuse(response, 401, error.message)
    else if (isKmeError(error, 'PROTOCOL')) refuse(response, 400, error.message)
    else if (isBodyError(error)) refuse(response, error.status, 'the body cannot be read')
    else {
      observer.event({
        level: 'error',
        name: 'peer.request.failed',
        message: `a request of a peer KME failed: ${error instanceof Error ? error.message : ''}`,
      })
      refuse(response, 503, 'not now')
    }
  }

/** What the body reader throws: its own statuses, 400 to 499. */
const isBodyError = (error: unknown): error is { status: number } =>
  error instanceof Error &&
  'status' in error &&
  typeof error.status === 'number' &&
  error.status >= 400 &&
  error.status < 500

const refuse = (response: ServerResponse, status: number, message: string): void => {
  send(response, status, { message })
}

const send = (response: ServerResponse, status: number, value: unknown): void => {
  const body = Buffer.from(encode(value), 'utf8')
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': body.length,
  })
  response.end(body)
}
