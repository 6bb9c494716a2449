import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { type ErrorBodyMaker, type Refusal, answerRaw, refusalOf } from './raw-answer.ts'

const NO_HOST: Refusal = { status: 400, reason: 'the request has no Host header' }
const EXPECTATION: Refusal = { status: 417, reason: 'the only expectation met is 100-continue' }
const NO_TUNNEL: Refusal = { status: 405, reason: 'CONNECT is not for this server' }

/**
 * Stands between a server and its handler: what is no proper request gets an error body here, and
 * while the listener closes, every answer is the last of its connection.
 */
export class RequestGate {
  readonly #makeBody: ErrorBodyMaker
  /** The newest request of each connection: whether an error is its own or of what follows it. */
  readonly #newest = new WeakMap<Duplex, ServerResponse>()
  readonly #refused = new WeakSet<Duplex>()
  #draining = false

  constructor(server: Server, handler: RequestListener, makeBody: ErrorBodyMaker) {
    this.#makeBody = makeBody
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.#newest.set(request.socket, response)
      if (this.#draining) response.setHeader('Connection', 'close')
      if (request.headers.host === undefined && request.httpVersion === '1.1') {
        this.#answer(response, NO_HOST)
      } else {
        handler(request, response)
      }
    })
    server.on('checkExpectation', (_: IncomingMessage, response: ServerResponse) => {
      this.#answer(response, EXPECTATION)
    })
    server.on('connect', (_: IncomingMessage, socket: Duplex) => {
      answerRaw(socket, NO_TUNNEL, makeBody)
    })
    server.on('clientError', (error: Error, socket: Duplex) => {
      this.#refuse(error, socket)
    })
  }

  drain(): void {
    this.#draining = true
  }

  /** Whether a request was ever made on the connection. */
  hadRequest(socket: Duplex): boolean {
    return this.#newest.has(socket)
  }

  #answer(response: ServerResponse, { status, reason }: Refusal): void {
    const { contentType, body } = this.#makeBody(status, reason)
    response.writeHead(status, {
      'Content-Type': contentType,
      'Content-Length': Buffer.byteLength(body),
      'Cache-Control': 'no-store',
      Connection: 'close',
    })
    response.end(body)
  }

  #refuse(error: Error, socket: Duplex): void {
    // The parser reports again for every chunk that still comes.
    if (this.#refused.has(socket)) return
    this.#refused.add(socket)
    const refusal = refusalOf(error)
    if (refusal === undefined) {
      socket.destroy()
      return
    }
    const newest = this.#newest.get(socket)
    if (newest === undefined || newest.writableFinished) {
      answerRaw(socket, refusal, this.#makeBody)
    } else if (newest.req.complete || newest.socket === null) {
      // Answers that earlier, legal requests wait for come first, and then nothing more.
      newest.once('close', () => socket.destroy())
    } else if (newest.headersSent) {
      socket.destroy()
    } else {
      answerRaw(socket, refusal, this.#makeBody)
    }
  }
}
