import { type Server, createServer } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { once } from 'node:events'
import { TLSSocket, connect } from 'node:tls'
import supertest from 'supertest'
import { Etsi014Client } from '../../src/etsi014/client.ts'
import { type CallerIdentity, bodyLimitFor, createKeyRoutes } from '../../src/etsi014/routes.ts'
import { listenerErrorBody } from '../../src/etsi014/errors.ts'
import { RequestGate } from '../../src/http/request-gate.ts'
import { serverOptions } from '../../src/http/http-limits.ts'
import { KeyDeliveryWorld } from './key-delivery-world.ts'
import { type TestCa, type TestCertificate, createTestCa } from './test-ca.ts'

const LIMITS = {
  headersTimeoutMs: 10_000,
  bodyTimeoutMs: 10_000,
  idleTimeoutMs: 10_000,
  maxConnections: 1000,
}

export interface RawAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** An entry of a key container. */
export interface KeyEntry {
  readonly key_ID: string
  readonly key: string
}

/** The keys of a container that was parsed from JSON. */
export const keysOf = (container: unknown): readonly KeyEntry[] =>
  (container as { readonly keys: readonly KeyEntry[] }).keys

/** All answers in what a connection brought. */
export const parseAnswers = (text: string): RawAnswer[] => {
  const answers: RawAnswer[] = []
  for (let rest = text; rest !== '';) {
    const end = rest.indexOf('\r\n\r\n')
    if (end < 0) throw new Error(`no end of headers in ${JSON.stringify(rest)}`)
    const [statusLine = '', ...lines] = rest.slice(0, end).split('\r\n')
    const pairs = lines.map((line): [string, string] => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
    })
    const headers = Object.fromEntries(pairs)
    const status = Number(statusLine.split(' ')[1])
    const length = status === 100 ? 0 : Number(headers['content-length'])
    if (Number.isNaN(length)) throw new Error(`no length in ${JSON.stringify(rest)}`)
    const start = end + 4
    if (status !== 100) answers.push({ status, headers, body: rest.slice(start, start + length) })
    rest = rest.slice(start + length)
  }
  return answers
}

/** The key routes behind real mutual TLS, on the world of key-delivery-world.ts. */
export class Etsi014Server implements AsyncDisposable {
  readonly world: KeyDeliveryWorld
  readonly port: number
  readonly #ca: TestCa
  readonly #server: Server
  readonly #certificates = new Map<string, Promise<TestCertificate>>()

  static async start(maxKeysPerRequest = 128): Promise<Etsi014Server> {
    const world = new KeyDeliveryWorld()
    const ca = await createTestCa()
    const identify = ({ socket }: IncomingMessage): CallerIdentity => {
      const trusted = socket instanceof TLSSocket && socket.authorized
      const name = trusted ? socket.getPeerCertificate().subject.CN : ''
      const sae = typeof name === 'string' ? world.directory.local(name) : null
      return sae
        ? { kind: 'sae', sae }
        : { kind: 'refused', reason: 'the certificate belongs to no registered SAE' }
    }
    const app = createKeyRoutes({
      delivery: world.delivery,
      identify,
      ownAuthorities: () => ['kme-a.example:8443'],
      observer: world.observer,
      maxBodyBytes: bodyLimitFor(maxKeysPerRequest),
    })
    const server = createServer({
      ...serverOptions(LIMITS),
      ...(await ca.issue('kme-a')),
      minVersion: 'TLSv1.2',
      requestCert: true,
      rejectUnauthorized: true,
    })
    new RequestGate(server, app, listenerErrorBody)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new Etsi014Server(world, ca, server)
  }

  private constructor(world: KeyDeliveryWorld, ca: TestCa, server: Server) {
    const address = server.address()
    if (address === null || typeof address === 'string') throw new TypeError('no port')
    this.world = world
    this.port = address.port
    this.#ca = ca
    this.#server = server
  }

  get url(): string {
    return `https://127.0.0.1:${this.port}`
  }

  /** The certificate of an SAE; the name need not be registered. */
  certificate(name: string): Promise<TestCertificate> {
    const certificate = this.#certificates.get(name) ?? this.#ca.issue(name)
    this.#certificates.set(name, certificate)
    return certificate
  }

  /** Supertest as an SAE. */
  async as(name: string): Promise<ReturnType<typeof supertest.agent>> {
    const { ca, cert, key } = await this.certificate(name)
    return supertest.agent(this.url, { ca, cert, key })
  }

  async client(name: string): Promise<Etsi014Client> {
    const { ca, cert, key } = await this.certificate(name)
    return new Etsi014Client({ url: this.url, ca, cert, key })
  }

  /** Sends bytes as they are, and returns what came until the server closed the connection. */
  async raw(name: string, ...parts: readonly (string | Buffer)[]): Promise<RawAnswer[]> {
    const { ca, cert, key } = await this.certificate(name)
    const socket = connect({ host: '127.0.0.1', port: this.port, ca, cert, key })
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    await once(socket, 'secureConnect')
    const closed = new Promise<void>((resolve) => {
      socket.on('close', () => {
        resolve()
      })
    })
    // A server that refuses may close before all was written.
    socket.on('error', () => {})
    for (const part of parts) {
      // As a good client does: nothing more is written once the server has said that it closes.
      if (Buffer.concat(chunks).includes('Connection: close')) break
      await Promise.race([closed, new Promise((resolve) => socket.write(part, resolve))])
    }
    await closed
    return parseAnswers(Buffer.concat(chunks).toString('utf8'))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
    await once(this.#server, 'close')
  }
}
