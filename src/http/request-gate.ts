import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type ErrorBodyMaker, type Refusal, answerRaw, refusalOf } from './raw-answer.ts'

const NO_HOST: Refusal = { status: 400, reason: 'the request has no Host header' }
const EXPECTATION: Refusal = { status: 417, reason: 'the only expectation met is 100-continue' }
const BAD_TARGET: Refusal = { status: 400, reason: 'the request target is malformed' }
const NO_TUNNEL: Refusal = { status: 405, reason: 'CONNECT is not for this server' }

const HTTP_URL = /^https?:\/\//i

/** Routers give up on a target in which they find no path, and answer in words of their own. */
const isTarget = (target: string): boolean =>
  target.startsWith('/') || target === '*' || (HTTP_URL.test(target) && URL.canParse(target))

const problemOf = ({ headers, httpVersion, url = '' }: IncomingMessage): Refusal | null => {
  if (headers.host === undefined && httpVersion === '1.1') return NO_HOST
  return isTarget(url) ? null : BAD_TARGET
}

const noop = (): void => undefined

/**
 * Stands between a server and its handler: what is no proper request gets an error body here, and
 * while the listener closes, every answer is the last of its connection.
 */
export class RequestGate {
  readonly #makeBody: ErrorBodyMaker
  /** The newest request of each connection: whether an error is its own or of what follows it. */
  readonly #newest = new WeakMap<Duplex, ServerResponse>()
  readonly #refused = new WeakSet<Duplex>()
  readonly #pipelined = new WeakSet<Duplex>()
  #draining = false

  constructor(server: Server, handler: RequestListener, makeBody: ErrorBodyMaker) {
    this.#makeBody = makeBody
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.#takePipelined(request.socket)
      this.#newest.set(request.socket, response)
      if (this.#draining) response.setHeader('Connection', 'close')
      const problem = problemOf(request)
      if (problem === null) handler(request, response)
      else this.#answer(response, problem)
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

  /**
   * While many answers wait, Node pauses its parser, which reads from the TLS layer directly; that
   * layer hands on all records it holds even so, and the paused parser takes them for an error.
   * With a listener for data the connection reads through its stream, which keeps them.
   */
  #takePipelined(socket: Socket): void {
    if (this.#newest.get(socket)?.writableFinished !== false || this.#pipelined.has(socket)) return
    this.#pipelined.add(socket)
    socket.on('data', noop)
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
    if (newest === undefined) answerRaw(socket, refusal, this.#makeBody)
    else this.#refuseAfter(newest, socket, refusal)
  }

  /** `newest`: the newest request of the connection, whose own the error is where it is incomplete. */
  #refuseAfter(newest: ServerResponse, socket: Duplex, refusal: Refusal): void {
    const isOwn = !newest.req.complete
    const hasTurn = newest.socket !== null || newest.writableFinished
    if (isOwn && hasTurn && newest.headersSent) {
      // A second answer would be taken for that of the next request.
      socket.destroy()
    } else if (isOwn ? hasTurn : newest.writableFinished) {
      answerRaw(socket, refusal, this.#makeBody)
    } else {
      // Answers that earlier, legal requests wait for come first, and then nothing more.
      newest.once('close', () => socket.destroy())
    }
  }
}
