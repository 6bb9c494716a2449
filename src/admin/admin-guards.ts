import type { IncomingMessage } from 'node:http'
import type { RequestHandler, Response } from 'express'
import helmet from 'helmet'
import { sendAdminError } from './admin-errors.ts'

/** Name of the operator behind a request, from the certificate; null for anybody else. */
export type OperatorOf = (request: IncomingMessage) => string | null

/** Nothing may be loaded from anywhere, run inline, or framed. */
export const securityHeaders = (): RequestHandler =>
  helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'"],
        connectSrc: ["'self'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
      },
    },
    referrerPolicy: { policy: 'no-referrer' },
    xFrameOptions: { action: 'deny' },
  })

export const neverStored: RequestHandler = (_request, response, next) => {
  response.setHeader('Cache-Control', 'no-store')
  next()
}

/** Everything on the admin listener is for operators, also the probes. */
export const operatorsOnly =
  (operatorOf: OperatorOf): RequestHandler =>
  (request, response, next) => {
    const operator = operatorOf(request)
    if (operator === null) {
      sendAdminError(
        response,
        401,
        'the certificate is not that of an operator, or no longer valid',
      )
      return
    }
    keepOperator(response, operator)
    next()
  }

const keepOperator = (response: Response, operator: string): void => {
  response.locals['operator'] = operator
}

/** Whom `operatorsOnly` let in. */
export const operatorOfResponse = (response: Pick<Response, 'locals'>): string =>
  String(response.locals['operator'])

/**
 * A browser with an operator's certificate would send it along with what a foreign page asks for.
 * Changes are only taken as JSON, which such a page cannot send without asking first, and not
 * across sites.
 */
export const changesFromHereOnly: RequestHandler = (request, response, next) => {
  const site = request.headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none') {
    sendAdminError(response, 403, 'a page of another site may not change anything here')
  } else if (request.is('application/json') !== 'application/json') {
    sendAdminError(response, 415, 'the body must be application/json')
  } else {
    next()
  }
}

/** No body is ever decompressed: whatever claims to be compressed is refused unread. */
export const plainBodiesOnly: RequestHandler = (request, response, next) => {
  const encoding = request.headers['content-encoding']
  if (encoding === undefined || encoding.toLowerCase() === 'identity') next()
  else sendAdminError(response, 415, 'compressed bodies are not accepted')
}

/** A path that is there, with another method. */
export const methodsOnly =
  (...methods: readonly string[]): RequestHandler =>
  (request, response) => {
    response.setHeader('Allow', methods.join(', '))
    sendAdminError(response, 405, `${request.method} is not for this path`)
  }
