import type { ServerResponse } from 'node:http'
import { JSON_TYPE } from './errors.ts'
import { wipe } from '../support/wipe.ts'

const headersOf = (body: Buffer, more: readonly string[]): string[] => [
  'Content-Type',
  JSON_TYPE,
  'Content-Length',
  String(body.length),
  'Cache-Control',
  'no-store',
  ...more,
]

/** Answers with JSON. `headers`: names and values in turn. */
export const sendJson = (
  response: ServerResponse,
  status: number,
  body: Buffer,
  headers: readonly string[] = [],
): void => {
  if (response.headersSent || response.destroyed) return
  response.writeHead(status, headersOf(body, headers))
  response.end(body)
}

/**
 * Answers with JSON while the body of the request still comes, as the last answer of its connection:
 * whole and readable at once, but the connection stays open until `rest` resolves.
 */
export const sendLastJson = async (
  response: ServerResponse,
  status: number,
  body: Buffer,
  { headers, rest }: { readonly headers: readonly string[]; readonly rest: () => Promise<void> },
): Promise<void> => {
  response.writeHead(status, headersOf(body, [...headers, 'Connection', 'close']))
  response.flushHeaders()
  response.write(body)
  await rest()
  response.end()
}

/** Answers 200 with keys, and wipes the body once the connection has taken it or is gone. */
export const sendKeys = (response: ServerResponse, body: Buffer): void => {
  // Behind other answers of its connection a response does not hear that the connection is gone.
  if (response.destroyed || response.req.socket.destroyed) {
    wipe(body)
    return
  }
  // Comes after the answer was handed to the system, and also where the client went away before.
  response.once('close', () => {
    wipe(body)
  })
  sendJson(response, 200, body)
}
