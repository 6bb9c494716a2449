import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'

/** The body of an answer that no handler gives, because the request never became one. */
export interface ErrorBody {
  readonly contentType: string
  readonly body: string
}

/** Makes that body in the words of the listener's API. `reason` is one line that may be shown to the client. */
export type ErrorBodyMaker = (status: number, reason: string) => ErrorBody

export interface Refusal {
  readonly status: number
  readonly reason: string
}

const REFUSALS: Readonly<Record<string, Refusal>> = {
  HPE_HEADER_OVERFLOW: { status: 431, reason: 'the headers of the request are too large' },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: { status: 413, reason: 'the chunk extensions are too large' },
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, reason: 'the request did not arrive in time' },
}

const MALFORMED: Refusal = { status: 400, reason: 'the request is not well-formed HTTP/1.1' }

/** What to answer to a connection's error, or undefined where there is nobody to answer to. */
export const refusalOf = (error: Error & { readonly code?: string }): Refusal | undefined => {
  const code = error.code ?? ''
  return REFUSALS[code] ?? (code.startsWith('HPE_') ? MALFORMED : undefined)
}

/** A whole answer as text, for a socket on which no response object exists. */
export const rawAnswer = ({ status, reason }: Refusal, makeBody: ErrorBodyMaker): string => {
  const { contentType, body } = makeBody(status, reason)
  return [
    `HTTP/1.1 ${String(status)} ${STATUS_CODES[status] ?? 'Error'}`,
    `Content-Type: ${contentType}`,
    `Content-Length: ${String(Buffer.byteLength(body))}`,
    'Cache-Control: no-store',
    'Connection: close',
    '',
    body,
  ].join('\r\n')
}

/** How long a client has to take the answer before its connection is gone. */
const LINGER_MS = 1000

/** Answers and closes, whether the client reads the answer or not. */
export const answerRaw = (socket: Duplex, refusal: Refusal, makeBody: ErrorBodyMaker): void => {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const timer = setTimeout(() => socket.destroy(), LINGER_MS)
  timer.unref()
  socket.once('close', () => {
    clearTimeout(timer)
  })
  socket.end(rawAnswer(refusal, makeBody))
}
