import { type RequestListener, type Server, createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { messageOf } from '../errors.ts'
import type { Observer } from '../ports/observer.ts'
import { bind } from './bind.ts'
import { Connections } from './connections.ts'
import { logHandshakes } from './handshake-log.ts'
import { type ListenerLimits, serverOptions, stallTimeoutMs } from './http-limits.ts'
import type { ListenAddress, ListenerName } from './listen-error.ts'
import type { ErrorBodyMaker } from './raw-answer.ts'
import { RequestGate } from './request-gate.ts'
import { type ListenerTls, TlsSetup } from './tls-setup.ts'

export interface ListenerOptions {
  readonly name: ListenerName
  readonly address: ListenAddress
  /** Gets every well-formed request, for example an Express app. */
  readonly handler: RequestListener
  /** The body of answers to what never became a request: 400, 408, 413, 431. */
  readonly errorBody: ErrorBodyMaker
  readonly limits: ListenerLimits
  readonly observer: Observer
  /** Mutual TLS: without it the listener is plain, for probes on loopback. */
  readonly tls?: ListenerTls
}

export interface CloseOptions {
  /** How long requests under way may take before their connections are cut. */
  readonly drainMs: number
}

/** An open listener. Disposing of it lets requests under way finish for a moment. */
export interface Listener extends AsyncDisposable {
  readonly name: ListenerName
  /** Where it listens, with the port that the system chose. */
  readonly address: ListenAddress
  /** Open connections, handshakes under way included. */
  connections(): number
  /** Reads changed certificates, CAs and revocation lists now instead of within `reloadIntervalMs`. */
  reload(): Promise<void>
  /**
   * Accepts nothing more, closes idle connections, and lets requests under way finish. Idempotent:
   * later calls wait for the first.
   */
  close(options: CloseOptions): Promise<void>
}

const DEFAULT_RELOAD_INTERVAL_MS = 1000
const DEFAULT_DRAIN_MS = 5000
const DRAIN_CHECK_MS = 20

/** Calls `work` again and again, never twice at a time, until stopped. It does not keep the process alive. */
const repeat = (intervalMs: number, work: () => Promise<void>): (() => void) => {
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  const plan = (): void => {
    if (stopped) return
    timer = setTimeout(() => {
      void work().finally(plan)
    }, intervalMs)
    timer.unref()
  }
  plan()
  return () => {
    stopped = true
    clearTimeout(timer)
  }
}

interface MadeServer {
  readonly server: Server
  /** Applies what changed in the files of its TLS, if it has any. */
  readonly refresh: (connections: Connections) => Promise<void>
}

const makeServer = async (options: ListenerOptions): Promise<MadeServer> => {
  const { name, tls, limits, observer } = options
  if (tls === undefined) {
    return { server: createServer(serverOptions(limits)), refresh: () => Promise.resolve() }
  }
  const setup = await TlsSetup.open(name, tls, observer)
  const server = createTlsServer({
    ...serverOptions(limits),
    ...setup.contextOptions(),
    requestCert: true,
    rejectUnauthorized: true,
    handshakeTimeout: tls.handshakeTimeoutMs,
    ALPNProtocols: ['http/1.1'],
  })
  return { server, refresh: (connections) => setup.refresh(server, connections) }
}

class OpenListener implements Listener {
  readonly name: ListenerName
  readonly address: ListenAddress
  readonly #server: Server
  readonly #connections: Connections
  readonly #gate: RequestGate
  readonly #reload: () => Promise<void>
  readonly #stopReloading: () => void
  #closing: Promise<void> | null = null

  constructor(parts: {
    readonly name: ListenerName
    readonly address: ListenAddress
    readonly server: Server
    readonly connections: Connections
    readonly gate: RequestGate
    readonly reload: () => Promise<void>
    readonly reloadIntervalMs: number
  }) {
    this.name = parts.name
    this.address = parts.address
    this.#server = parts.server
    this.#connections = parts.connections
    this.#gate = parts.gate
    this.#reload = parts.reload
    this.#stopReloading = repeat(parts.reloadIntervalMs, parts.reload)
  }

  connections(): number {
    return this.#connections.count
  }

  reload(): Promise<void> {
    return this.#reload()
  }

  close(options: CloseOptions): Promise<void> {
    this.#closing ??= this.#close(options.drainMs)
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close({ drainMs: DEFAULT_DRAIN_MS })
  }

  async #close(drainMs: number): Promise<void> {
    this.#stopReloading()
    this.#gate.drain()
    this.#connections.destroyUnused((socket) => this.#gate.hadRequest(socket))
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve()
      })
    })
    const stopChecking = repeat(DRAIN_CHECK_MS, async () => {
      this.#server.closeIdleConnections()
    })
    const cut = setTimeout(() => {
      this.#connections.destroyAll()
    }, drainMs)
    await closed
    stopChecking()
    clearTimeout(cut)
  }
}

/**
 * Opens a listener.
 * @throws KmeError LISTEN_FAILED where the address cannot be had, CONFIG_INVALID where the certificate cannot be used
 */
export const startListener = async (options: ListenerOptions): Promise<Listener> => {
  const { name, tls, limits, observer } = options
  const { server, refresh } = await makeServer(options)
  server.maxConnections = limits.maxConnections
  // Unlimited in number, for the limit in bytes bounds them: Node would silently drop the rest.
  server.maxHeadersCount = 0
  server.timeout = stallTimeoutMs(limits)
  const connections = new Connections(server, {
    name,
    observer,
    ownerOf: tls?.ownerOf,
    maxConnectionsPerOwner: tls?.maxConnectionsPerOwner,
  })
  logHandshakes(server, name, observer)
  const gate = new RequestGate(server, options.handler, options.errorBody)
  const address = await bind(server, name, options.address)
  server.on('error', (error) => {
    const message = `the ${name} listener: ${messageOf(error)}`
    observer.event({ level: 'error', name: 'listener.failed', message, fields: { listener: name } })
  })
  return new OpenListener({
    name,
    address,
    server,
    connections,
    gate,
    reload: () => refresh(connections),
    reloadIntervalMs: tls?.reloadIntervalMs ?? DEFAULT_RELOAD_INTERVAL_MS,
  })
}
