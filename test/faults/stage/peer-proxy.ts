import { once } from 'node:events'
import { Agent, createServer, request } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { HOST, type LabCertificate } from '../../helpers/kme-lab.ts'

/** What becomes of one request between two KMEs. */
export interface Handling {
  /** Never arrives; or arrives, and its answer does not. The caller waits, or is cut off. */
  readonly lose?: 'request' | 'answer'
  readonly cutOff?: boolean
  /** How often it arrives; the answer to the last is the one that goes back. */
  readonly copies?: number
  /** Held back so long: others overtake it. */
  readonly delayMs?: number
  /** Comes once more, that much later. */
  readonly againAfterMs?: number
}

export type Behaviour = () => Handling

interface Message {
  readonly path: string
  readonly body: Buffer
}

interface Reply {
  readonly status: number
  readonly body: Buffer
}

/** Requests kept to be sent again much later. */
const MOST_KEPT = 400
const TIMEOUT_MS = 20_000

export const faithful: Behaviour = () => ({})

/**
 * Stands between two KMEs for the requests of one of them, and has the certificates of both: inside
 * TLS, where messages can be lost, doubled, delayed and overtaken one by one.
 */
export class PeerProxy implements AsyncDisposable {
  /** Where the KME that it stands for really listens. */
  targetPort = 0
  behaviour: Behaviour = faithful
  readonly #server
  readonly #agent: Agent
  readonly #sockets = new Set<Socket>()
  readonly #kept: Message[] = []
  #isCut = false

  private constructor(asServer: LabCertificate, asClient: LabCertificate) {
    const { cert, key, ca } = asServer
    const tls = { cert, key, ca, minVersion: 'TLSv1.3', requestCert: true } as const
    this.#server = createServer(tls, (incoming, outgoing) => {
      void this.#handle(incoming, outgoing).catch(() => outgoing.destroy())
    })
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.on('error', () => undefined)
      socket.once('close', () => this.#sockets.delete(socket))
      if (this.#isCut) socket.destroy()
    })
    this.#server.on('tlsClientError', () => undefined)
    this.#agent = new Agent({
      keepAlive: true,
      cert: asClient.cert,
      key: asClient.key,
      ca: asClient.ca,
      checkServerIdentity: () => undefined,
    })
  }

  /** @param asServer the certificate of the KME that is called, @param asClient of the one that calls */
  static async open(asServer: LabCertificate, asClient: LabCertificate): Promise<PeerProxy> {
    const proxy = new PeerProxy(asServer, asClient)
    proxy.#server.listen({ host: HOST, port: 0 })
    await once(proxy.#server, 'listening')
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Connections break, and no new one comes about. */
  cut(): void {
    this.#isCut = true
    for (const socket of this.#sockets) socket.destroy()
  }

  mend(): void {
    this.#isCut = false
  }

  /** Sends what was kept once more, oldest last: messages of former lives among them. */
  async repeatOld(): Promise<number> {
    const old = this.#kept.splice(0).toReversed()
    for (const message of old) await this.#forward(message).catch(() => undefined)
    return old.length
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    this.#agent.destroy()
    this.#server.close()
  }

  async #handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk)
    const message = { path: incoming.url ?? '', body: Buffer.concat(chunks) }
    this.#keep(message)
    const { lose, cutOff, copies = 1, delayMs = 0, againAfterMs } = this.behaviour()
    if (delayMs > 0) await sleep(delayMs)
    if (againAfterMs !== undefined) void this.#again(message, againAfterMs)
    let reply: Reply | null = null
    if (lose !== 'request') {
      for (let copy = 0; copy < copies; copy += 1) reply = await this.#forward(message)
    }
    if (reply && lose === undefined) {
      const headers = { 'Content-Type': 'application/json', 'Content-Length': reply.body.length }
      outgoing.writeHead(reply.status, headers)
      outgoing.end(reply.body)
    } else if (cutOff === true) outgoing.destroy()
  }

  #keep(message: Message): void {
    this.#kept.push(message)
    if (this.#kept.length > MOST_KEPT) this.#kept.shift()
  }

  async #again(message: Message, afterMs: number): Promise<void> {
    await sleep(afterMs, undefined, { ref: false })
    await this.#forward(message).catch(() => undefined)
  }

  #forward({ path, body }: Message): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const outgoing = request({
        agent: this.#agent,
        host: HOST,
        port: this.targetPort,
        method: 'POST',
        path,
        headers: { 'Content-Type': 'application/json', 'Content-Length': body.length },
        minVersion: 'TLSv1.3',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      outgoing.on('error', reject)
      outgoing.on('response', (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 502, body: Buffer.concat(chunks) })
        })
      })
      outgoing.end(body)
    })
  }
}
