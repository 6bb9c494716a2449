import type { Socket } from 'node:net'
import { connect, createServer, type Server, type TLSSocket } from 'node:tls'
import { KmeError, messageOf } from '../../errors.ts'
import { Backoff } from '../../support/backoff.ts'
import { wipe } from '../../support/wipe.ts'
import { readSharedSecret, type SharedSecret } from './secret.ts'
import type { Transport, TransportContext } from './transport.ts'

export interface Endpoint {
  readonly host: string
  readonly port: number
}

/**
 * A pre-shared key in TLS 1.3, with an ephemeral key exchange: both ends prove the secret, and one
 * that leaks later opens no recording. Only suites of SHA-256 go with a raw key.
 */
const TLS_OPTIONS = {
  minVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256',
} as const

const HANDSHAKE_TIMEOUT_MS = 10_000
const RETRY = { firstMs: 500, mostMs: 60_000 }
/** The device has two ends: a few more are one that comes back before the old one is missed. */
const MAX_CONNECTIONS = 8

const prepare = (socket: Socket): void => {
  socket.setNoDelay(true)
  // An error is followed by 'close', and that is what counts.
  socket.on('error', () => undefined)
}

/** The end that listens. */
export class ListeningTransport implements Transport {
  readonly sharesBuffers = false
  readonly #endpoint: Endpoint
  readonly #secretFile: string
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined
  #secret: SharedSecret | undefined

  constructor(endpoint: Endpoint, secretFile: string) {
    this.#endpoint = endpoint
    this.#secretFile = secretFile
  }

  /** The port that is listened on, where the options left it to the system. */
  get port(): number | undefined {
    const address = this.#server?.address()
    return typeof address === 'object' ? address?.port : undefined
  }

  async open(context: TransportContext): Promise<void> {
    const secret = await readSharedSecret(this.#secretFile, context.scope)
    this.#secret = secret
    const server = createServer(
      {
        ...TLS_OPTIONS,
        handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
        pskCallback: (_socket, identity) => (identity === secret.identity ? secret.key : null),
      },
      (socket) => {
        context.connected(socket)
      },
    )
    server.maxConnections = MAX_CONNECTIONS
    server.on('connection', (socket: Socket) => {
      this.#track(socket)
    })
    server.on('tlsClientError', () => {
      context.failed('a caller did not prove the secret: secretFile must be the same at both ends')
    })
    this.#server = server
    await listen(server, this.#endpoint)
  }

  proven(): void {
    // The other end connects; this one only waits.
  }

  async close(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    for (const socket of this.#sockets) socket.destroy()
    if (server?.listening === true) {
      await new Promise<void>((resolve) => {
        server.close(() => {
          resolve()
        })
      })
    }
    wipe(this.#secret?.key)
  }

  #track(socket: Socket): void {
    prepare(socket)
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
  }
}

const listen = async (server: Server, { host, port }: Endpoint): Promise<void> => {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, host, () => {
        server.off('error', reject)
        resolve()
      })
    })
    server.on('error', () => undefined)
  } catch (error) {
    throw new KmeError('DRIVER_FAILED', `cannot listen on ${host}:${port}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

/** What ends a handshake is the secret: nothing else is proven in it. */
const reasonOf = (error: NodeJS.ErrnoException): string =>
  error.code?.startsWith('ERR_SSL_') === true
    ? 'the other end did not accept the secret: secretFile must be the same at both ends'
    : (messageOf(error).split('\n')[0] ?? 'no reason given')

/** The end that connects, and connects again. */
export class ConnectingTransport implements Transport {
  readonly sharesBuffers = false
  readonly #endpoint: Endpoint
  readonly #secretFile: string
  #context: TransportContext | undefined
  #secret: SharedSecret | undefined
  #backoff: Backoff | undefined
  #socket: TLSSocket | undefined
  #cancel: (() => void) | undefined

  constructor(endpoint: Endpoint, secretFile: string) {
    this.#endpoint = endpoint
    this.#secretFile = secretFile
  }

  async open(context: TransportContext): Promise<void> {
    this.#secret = await readSharedSecret(this.#secretFile, context.scope)
    this.#backoff = new Backoff({ random: context.random, ...RETRY })
    this.#context = context
    this.#connect(context, this.#secret)
  }

  proven(): void {
    this.#backoff?.reset()
  }

  async close(): Promise<void> {
    this.#context = undefined
    this.#cancel?.()
    this.#socket?.destroy()
    wipe(this.#secret?.key)
  }

  #connect(context: TransportContext, secret: SharedSecret): void {
    const { host, port } = this.#endpoint
    const socket = connect({
      host,
      port,
      ...TLS_OPTIONS,
      pskCallback: () => ({ psk: secret.key, identity: secret.identity }),
      // There is no certificate: proving the secret is the check.
      checkServerIdentity: () => undefined,
    })
    this.#socket = socket
    const cancelTimeout = context.clock.after(HANDSHAKE_TIMEOUT_MS, () => {
      socket.destroy(new Error('no answer in time'))
    })
    let why = 'the connection was closed'
    socket.on('error', (error: Error) => {
      why = reasonOf(error)
    })
    socket.once('secureConnect', () => {
      cancelTimeout()
      prepare(socket)
      context.connected(socket)
    })
    socket.once('close', () => {
      cancelTimeout()
      this.#retry(secret, `no connection to ${host}:${port}: ${why}`)
    })
  }

  #retry(secret: SharedSecret, why: string): void {
    const context = this.#context
    const backoff = this.#backoff
    if (context === undefined || backoff === undefined) return
    context.failed(why)
    this.#cancel = context.clock.after(backoff.next(), () => {
      if (this.#context !== undefined) this.#connect(context, secret)
    })
  }
}
