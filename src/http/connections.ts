import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Observer } from '../ports/observer.ts'
import type { ListenerName } from './listen-error.ts'

export interface ConnectionRules {
  readonly name: ListenerName
  readonly observer: Observer
  /** Whom a connection counts for; null counts for nobody. */
  readonly ownerOf?: ((socket: TLSSocket) => string | null) | undefined
  readonly maxConnectionsPerOwner?: number | undefined
}

const endpointOf = ({ remoteAddress, remotePort }: Socket): string =>
  `${remoteAddress ?? ''} ${String(remotePort)}`

/** The open connections of a listener: all of them, also those that have not finished their handshake. */
export class Connections {
  readonly #rules: ConnectionRules
  readonly #raw = new Set<Socket>()
  readonly #secure = new Set<TLSSocket>()
  readonly #perOwner = new Map<string, number>()
  /** Owners whose refusal was told already: one line, not one per attempt. */
  readonly #told = new Set<string>()

  constructor(server: Server, rules: ConnectionRules) {
    this.#rules = rules
    server.on('connection', (socket: Socket) => {
      this.#raw.add(socket)
      socket.once('close', () => this.#raw.delete(socket))
    })
    server.on('secureConnection', (socket: unknown) => {
      if (socket instanceof TLSSocket) this.#admit(socket)
    })
  }

  get count(): number {
    return [...this.#raw].filter((socket) => !socket.destroyed).length
  }

  /** Destroys authenticated connections for which `allowed` says no. Returns how many. */
  destroyUnless(allowed: (socket: TLSSocket) => boolean): number {
    const forbidden = [...this.#secure].filter((socket) => !allowed(socket))
    for (const socket of forbidden) socket.destroy()
    return forbidden.length
  }

  /**
   * Destroys connections on which nothing is under way: no request was ever made, or the handshake
   * is not finished. To the server they are not idle, for a request may be about to come.
   */
  destroyUnused(used: (socket: Socket) => boolean): void {
    // The TLS library does not tell which raw connection an authenticated one stands on.
    const authenticated = new Set([...this.#secure].map(endpointOf))
    for (const socket of this.#secure) if (!used(socket)) socket.destroy()
    for (const socket of this.#raw) {
      if (!used(socket) && !authenticated.has(endpointOf(socket))) socket.destroy()
    }
  }

  destroyAll(): void {
    for (const socket of [...this.#secure, ...this.#raw]) socket.destroy()
  }

  #admit(socket: TLSSocket): void {
    this.#secure.add(socket)
    socket.once('close', () => this.#secure.delete(socket))
    const owner = this.#rules.ownerOf?.(socket) ?? null
    if (owner === null) return
    const { maxConnectionsPerOwner: max = Infinity } = this.#rules
    const open = this.#perOwner.get(owner) ?? 0
    if (open >= max) {
      socket.destroy()
      this.#tellRefused(owner, max)
      return
    }
    this.#perOwner.set(owner, open + 1)
    socket.once('close', () => {
      this.#release(owner)
    })
  }

  #release(owner: string): void {
    const left = (this.#perOwner.get(owner) ?? 1) - 1
    if (left > 0) this.#perOwner.set(owner, left)
    else this.#perOwner.delete(owner)
    this.#told.delete(owner)
  }

  #tellRefused(owner: string, max: number): void {
    if (this.#told.has(owner)) return
    this.#told.add(owner)
    this.#rules.observer.event({
      level: 'warn',
      name: 'listener.connections.refused',
      message: `${owner} has ${String(max)} connections to the ${this.#rules.name} listener open: more are closed`,
      fields: { listener: this.#rules.name, owner, max },
    })
  }
}
