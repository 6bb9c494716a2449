import { Agent, request } from 'node:https'
import { X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { PeerCertificate, SecureContextOptions } from 'node:tls'
import type { Socket } from 'node:net'
import type { z } from 'zod'
import { encode, helloSchema, refusalSchema, responseSchema } from './messages.ts'
import type { Hello, Peer, PeerAnswer, PeerMessage, Stamp } from '../ports/peer.ts'
import type { KmeId, LinkId } from '../model/ids.ts'
import { KmeError, messageOf } from '../errors.ts'
import type { Random } from '../ports/clock.ts'

const MOST_CONNECTIONS = 4
const MOST_RESPONSE_BYTES = 4 * 1024 * 1024

export interface PeerClientOptions {
  readonly linkId: LinkId
  readonly peerKmeId: KmeId
  readonly host: string
  readonly port: number
  readonly random: Random
  /** A request without an answer after that long is given up; what it did is unknown. */
  readonly timeoutMs: number
  /** Our certificate and the CAs (and CRLs) of KMEs, as they are now: files may have changed. */
  readonly tls: () => SecureContextOptions
  /** The KME that a certificate names, by the configured rules; null for none. */
  readonly kmeIdOf: (certificate: X509Certificate) => KmeId | null
}

/** The peer KME over a few warm HTTPS connections, mutual TLS 1.3. Decompresses nothing. */
export class PeerClient implements Peer {
  readonly #options: PeerClientOptions
  readonly #agent: Agent
  readonly #sockets = new Set<Socket>()
  readonly #lost: (() => void)[] = []
  #closed = false

  constructor(options: PeerClientOptions) {
    this.#options = options
    this.#agent = new Agent({
      keepAlive: true,
      maxSockets: MOST_CONNECTIONS,
      // A resumed session would not have its certificate checked again.
      maxCachedSessions: 0,
      scheduling: 'lifo',
      // KMEs are known by the identity in their certificates, not by their addresses. Here and not
      // in the request: Node keeps no connection alive that a request had its own check for.
      checkServerIdentity: (_host: string, certificate: PeerCertificate) =>
        this.#checkPeer(certificate),
    })
  }

  async hello(question: Hello): Promise<Hello> {
    const answer = await this.#post('hello', question, helloSchema)
    if (answer.nonce !== question.nonce) {
      throw new KmeError('PROTOCOL', 'a hello was answered that was not asked')
    }
    return answer
  }

  async send(stamp: Stamp, messages: readonly PeerMessage[]): Promise<readonly PeerAnswer[]> {
    const nonce = this.#options.random.bytes(16).toString('hex')
    const response = await this.#post('messages', { nonce, stamp, messages }, responseSchema)
    const isOurs = response.nonce === nonce && response.kmeId === this.#options.peerKmeId
    if (!isOurs) throw new KmeError('PROTOCOL', 'the response belongs to another request')
    return response.answers
  }

  onLost(callback: () => void): void {
    this.#lost.push(callback)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#agent.destroy()
  }

  async #post<T>(call: string, value: unknown, schema: z.ZodType<T>): Promise<T> {
    if (this.#closed) throw new KmeError('PEER_UNAVAILABLE', 'the link is stopped')
    const body = Buffer.from(encode(value), 'utf8')
    const { status, text } = await this.#exchange(call, body)
    const json = parseJson(text)
    if (status !== 200) throw refusalOf(status, json)
    const parsed = schema.safeParse(json)
    if (parsed.success) return parsed.data
    throw new KmeError('PROTOCOL', `the answer to ${call} is not understood`)
  }

  #exchange(call: string, body: Buffer): Promise<{ status: number; text: string }> {
    const { host, port, linkId, timeoutMs } = this.#options
    return new Promise((resolve, reject) => {
      const fail = (error: unknown): void => {
        const message = `KME ${this.#options.peerKmeId} cannot be reached at ${host}:${String(port)}: ${messageOf(error)}`
        reject(new KmeError('PEER_UNAVAILABLE', message, { cause: error }))
      }
      const outgoing = request({
        ...this.#options.tls(),
        agent: this.#agent,
        host,
        port,
        method: 'POST',
        path: `/peer/v1/links/${encodeURIComponent(linkId)}/${call}`,
        headers: { 'Content-Type': 'application/json', 'Content-Length': body.length },
        minVersion: 'TLSv1.3',
        rejectUnauthorized: true,
        signal: AbortSignal.timeout(timeoutMs),
      })
      outgoing.on('socket', (socket) => {
        this.#watch(socket)
      })
      outgoing.on('error', fail)
      outgoing.on('response', (response) => {
        readText(response).then((text) => {
          resolve({ status: response.statusCode ?? 0, text })
        }, fail)
      })
      outgoing.end(body)
    })
  }

  #checkPeer(certificate: PeerCertificate): Error | undefined {
    const { peerKmeId, kmeIdOf } = this.#options
    const found = kmeIdOf(new X509Certificate(certificate.raw))
    if (found === peerKmeId) return undefined
    return new Error(`its certificate is of ${found === null ? 'no KME' : `KME ${found}`}`)
  }

  #watch(socket: Socket): void {
    if (this.#sockets.has(socket)) return
    this.#sockets.add(socket)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      if (this.#sockets.size > 0 || this.#closed) return
      for (const callback of this.#lost) callback()
    })
  }
}

const readText = async (response: IncomingMessage): Promise<string> => {
  if (response.headers['content-encoding'] !== undefined) {
    response.destroy()
    throw new KmeError('PROTOCOL', 'the answer is encoded')
  }
  const chunks: Buffer[] = []
  let lengthBytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    lengthBytes += chunk.length
    if (lengthBytes > MOST_RESPONSE_BYTES) {
      response.destroy()
      throw new KmeError('PROTOCOL', 'the answer is too large')
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    throw new KmeError('PROTOCOL', 'the answer is not JSON')
  }
}

const refusalOf = (status: number, json: unknown): KmeError => {
  const refusal = refusalSchema.safeParse(json)
  const message = refusal.success ? refusal.data.message : `status ${String(status)}`
  const code = status >= 400 && status < 500 ? 'PROTOCOL' : 'PEER_UNAVAILABLE'
  return new KmeError(code, message)
}
