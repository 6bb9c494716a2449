import type { ErrorRequestHandler, RequestHandler, Response } from 'express'
import { type KmeErrorCode, isKmeError, messageOf } from '../errors.ts'
import type { Observer } from '../ports/observer.ts'
import type { AdminErrorAnswer } from './admin-parts.ts'

/** What an operator asked for that cannot be; the message may be shown. */
export class AdminError extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.name = 'AdminError'
    this.status = status
  }
}

const STATUS_OF: Partial<Record<KmeErrorCode, number>> = {
  BAD_REQUEST: 400,
  NOT_READY: 503,
  PEER_UNAVAILABLE: 503,
  DRIVER_FAILED: 502,
  SEALING_FAILED: 409,
}

/** The texts of the body parser quote the body: these do not. */
const BODY_PROBLEMS: Readonly<Record<number, string>> = {
  400: 'the body is not valid JSON',
  413: 'the body is too large',
  415: 'the body must be application/json in UTF-8, without a content encoding',
}

const parserStatus = (error: unknown): number | undefined => {
  const status = error instanceof Error && 'status' in error ? error.status : undefined
  return typeof status === 'number' && status in BODY_PROBLEMS ? status : undefined
}

export const sendAdminError = (response: Response, status: number, message: string): void => {
  response.status(status).json({ message } satisfies AdminErrorAnswer)
}

/** The body of answers that the listener gives without the app. */
export const adminErrorBody = (_status: number, message: string) => ({
  contentType: 'application/json; charset=utf-8',
  body: JSON.stringify({ message } satisfies AdminErrorAnswer),
})

export const notFound: RequestHandler = (_request, response) => {
  sendAdminError(response, 404, 'there is nothing at this path')
}

const judge = (error: unknown): { status: number; message: string } | undefined => {
  if (error instanceof AdminError) return error
  const known = isKmeError(error) ? STATUS_OF[error.code] : undefined
  if (known !== undefined) return { status: known, message: messageOf(error) }
  if (error instanceof URIError) return { status: 400, message: 'the path is badly encoded' }
  const status = parserStatus(error)
  return status === undefined ? undefined : { status, message: BODY_PROBLEMS[status] ?? '' }
}

/** Last in the chain. What it does not know is logged and answered with one fixed sentence. */
export const errorAnswer =
  (observer: Observer): ErrorRequestHandler =>
  (error: unknown, _request, response, next) => {
    if (response.headersSent) {
      next(error)
      return
    }
    const judged = judge(error)
    if (judged === undefined) {
      const message = `an operator's request failed: ${messageOf(error)}`
      observer.event({ level: 'error', name: 'admin.failed', message })
    }
    sendAdminError(response, judged?.status ?? 500, judged?.message ?? 'the request failed')
  }
