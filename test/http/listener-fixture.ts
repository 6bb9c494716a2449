import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type RequestListener, request as plainRequest } from 'node:http'
import { type Agent, request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConnectionOptions, type TLSSocket, connect } from 'node:tls'
import type { ListenerLimits } from '../../src/http/http-limits.ts'
import { connectionOwner, identifySae, type SaeCaller } from '../../src/http/identify-from.ts'
import { type Listener, startListener } from '../../src/http/listener.ts'
import type { ErrorBodyMaker } from '../../src/http/raw-answer.ts'
import type { ListenerTls } from '../../src/http/tls-setup.ts'
import { byRules } from '../../src/identity/identify.ts'
import { IdentityResolver } from '../../src/identity/resolver.ts'
import { TrustStore } from '../../src/identity/trust-store.ts'
import type { LocalSae } from '../../src/ports/destination.ts'
import type { KmeEvent, Observer } from '../../src/ports/observer.ts'
import { systemClock } from '../../src/support/system-clock.ts'
import { type TestCa, type TestCertificate, createTestCa } from '../helpers/test-ca.ts'

export const errorBody: ErrorBodyMaker = (_status, message) => ({
  contentType: 'application/json',
  body: JSON.stringify({ message }),
})

export const LIMITS: ListenerLimits = {
  headersTimeoutMs: 10_000,
  bodyTimeoutMs: 15_000,
  idleTimeoutMs: 60_000,
  maxConnections: 100,
}

export class RecordingObserver implements Observer {
  readonly events: KmeEvent[] = []
  event(event: KmeEvent): void {
    this.events.push(event)
  }
  alarm(): void {}
  clear(): void {}
  names(): string[] {
    return this.events.map(({ name }) => name)
  }
}

export const addressPort = (listener: Listener): number => {
  if ('socket' in listener.address) throw new TypeError('listens on a socket')
  return listener.address.port
}

const register = (id: string): LocalSae => ({
  saeId: id,
  registrationId: Buffer.from(id).toString('hex').padEnd(32, '0').slice(0, 32),
  loopback: false,
})

/** A listener for SAEs with a CA of its own, and its files in a folder of its own. */
export class SaeWorld implements AsyncDisposable {
  readonly ca: TestCa
  readonly folder: string
  readonly observer = new RecordingObserver()
  /** What the KME takes for the time; the TLS library has its own. */
  readonly clock = {
    ...systemClock,
    offsetMs: 0,
    wallMs: (): number => Date.now() + this.clock.offsetMs,
  }
  /** SAE ID to the name of its CA. */
  readonly registered = new Map([
    ['sae-a', 'saes'],
    ['sae-b', 'saes'],
  ])
  readonly #opened: Listener[] = []

  private constructor(ca: TestCa, folder: string) {
    this.ca = ca
    this.folder = folder
  }

  static async create(): Promise<SaeWorld> {
    const world = new SaeWorld(await createTestCa(), await mkdtemp(join(tmpdir(), 'ks-http-')))
    await world.writeServerCertificate(await world.ca.issue('kme'))
    await world.write('ca.pem', world.ca.ca)
    await world.revoke()
    return world
  }

  path(name: string): string {
    return join(this.folder, name)
  }

  async write(name: string, text: string): Promise<void> {
    await writeFile(this.path(name), text, { mode: 0o600 })
  }

  async writeServerCertificate({ cert, key }: TestCertificate): Promise<void> {
    await this.write('server.pem', cert)
    await this.write('server-key.pem', key)
  }

  async revoke(...serials: string[]): Promise<void> {
    await this.write('crl.pem', await this.ca.crl(serials))
  }

  async listen(
    options: {
      readonly handler?: (identify: (socket: object) => SaeCaller) => RequestListener
      readonly limits?: Partial<ListenerLimits>
      readonly tls?: Partial<ListenerTls>
    } = {},
  ): Promise<Listener> {
    const trust = await TrustStore.load({
      cas: [
        {
          name: 'saes',
          files: [this.path('ca.pem')],
          crlFile: this.path('crl.pem'),
          crlExpired: 'refuse',
        },
      ],
      clock: this.clock,
      observer: this.observer,
    })
    const rules = [{ ca: 'saes', from: 'cn' as const, allowMissingEku: false }]
    const resolver = new IdentityResolver({ trust, identify: byRules(rules), clock: this.clock })
    const identify = identifySae({
      resolver,
      directory: { local: (id) => (this.registered.has(id) ? register(id) : null) },
      caOf: (id) => this.registered.get(id) ?? null,
    })
    const bySocket = (socket: object): SaeCaller => identify({ socket })
    const listener = await startListener({
      name: 'sae',
      address: { host: '127.0.0.1', port: 0 },
      handler: (options.handler ?? whoAmI)(bySocket),
      errorBody,
      limits: { ...LIMITS, ...options.limits },
      observer: this.observer,
      tls: {
        certFile: this.path('server.pem'),
        keyFile: this.path('server-key.pem'),
        minVersion: 'TLSv1.2',
        handshakeTimeoutMs: 10_000,
        trust,
        stillAllowed: (socket) => bySocket(socket).kind === 'sae',
        ownerOf: connectionOwner(resolver),
        // Tests say when: no timer decides.
        reloadIntervalMs: 3_600_000,
        ...options.tls,
      },
    })
    this.#opened.push(listener)
    return listener
  }

  /** After each test: a listener left open would go on watching the files that the next one changes. */
  async closeListeners(): Promise<void> {
    for (const one of this.#opened.splice(0)) await one.close({ drainMs: 0 })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.closeListeners()
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** Answers with the ID of the caller, or 401. */
export const whoAmI =
  (identify: (socket: object) => SaeCaller): RequestListener =>
  (request, response) => {
    const caller = identify(request.socket)
    response.statusCode = caller.kind === 'sae' ? 200 : 401
    response.end(caller.kind === 'sae' ? caller.sae.saeId : caller.reason)
  }

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

export interface ClientOptions {
  readonly path?: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly agent?: Agent
  readonly body?: string
}

/** One request, on a connection of its own unless an agent is given. */
export const call = (
  listener: Listener,
  identity: Partial<TestCertificate>,
  options: ClientOptions = {},
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const { address } = listener
    const where = 'socket' in address ? { socketPath: address.socket } : address
    const make = Object.keys(identity).length === 0 ? plainRequest : httpsRequest
    const { ca, cert, key } = identity
    const outgoing = make(
      {
        ...where,
        agent: false,
        path: '/',
        ...options,
        ...(ca && { ca }),
        ...(cert && { cert, key }),
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const body = Buffer.concat(chunks).toString()
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body })
        })
      },
    )
    outgoing.on('error', reject)
    outgoing.end(options.body)
  })

/** A bare TLS connection, after its handshake. */
export const openTls = (
  listener: Listener,
  { ca, cert, key }: TestCertificate,
  options: ConnectionOptions = {},
): Promise<TLSSocket> =>
  new Promise((resolve, reject) => {
    const socket = connect({
      host: '127.0.0.1',
      port: addressPort(listener),
      ca,
      cert,
      key,
      ...options,
    })
    socket.once('secureConnect', () => {
      socket.off('error', reject)
      socket.on('error', () => {})
      resolve(socket)
    })
    socket.once('error', reject)
  })

/** Everything that comes until the other side closes. */
export const readAll = (socket: TLSSocket): Promise<string> =>
  new Promise((resolve) => {
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.once('close', () => {
      resolve(Buffer.concat(chunks).toString())
    })
  })

export const closed = (socket: TLSSocket): Promise<void> =>
  new Promise((resolve) => {
    if (socket.destroyed) resolve()
    else {
      socket.once('close', () => {
        resolve()
      })
      socket.resume()
    }
  })
