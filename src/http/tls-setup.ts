import { randomBytes } from 'node:crypto'
import type { Server as HttpsServer } from 'node:https'
import type { SecureContextOptions, TLSSocket } from 'node:tls'
import { messageOf } from '../errors.ts'
import type { Observer } from '../ports/observer.ts'
import type { Connections } from './connections.ts'
import type { ListenerName } from './listen-error.ts'
import { OwnCertificateSource } from './own-certificate.ts'
import { type TlsVersion, tlsProfile } from './tls-profile.ts'
import { type ListenerTrust, trustContext } from './trust.ts'

export interface ListenerTls {
  readonly certFile: string
  readonly keyFile: string
  /** See `readSecretFile`. */
  readonly credentialsDirectory?: string | undefined
  readonly minVersion: TlsVersion
  readonly handshakeTimeoutMs: number
  readonly trust: ListenerTrust
  /** Asked of every open connection when the trust has changed: is its certificate still good? */
  readonly stillAllowed: (socket: TLSSocket) => boolean
  /** Whom a connection counts for, if for anybody. */
  readonly ownerOf?: (socket: TLSSocket) => string | null
  readonly maxConnectionsPerOwner?: number
  /** How often changed files are looked for. */
  readonly reloadIntervalMs?: number
}

/** Length that the TLS library wants: name, MAC key and cipher key of its session tickets. */
const TICKET_KEY_BYTES = 48

/** The secure context of a listener, kept in step with the files that it is made of. */
export class TlsSetup {
  readonly #name: ListenerName
  readonly #tls: ListenerTls
  readonly #observer: Observer
  readonly #own: OwnCertificateSource

  private constructor(
    name: ListenerName,
    tls: ListenerTls,
    observer: Observer,
    own: OwnCertificateSource,
  ) {
    this.#name = name
    this.#tls = tls
    this.#observer = observer
    this.#own = own
  }

  /** @throws KmeError CONFIG_INVALID */
  static async open(name: ListenerName, tls: ListenerTls, observer: Observer): Promise<TlsSetup> {
    return new TlsSetup(name, tls, observer, await OwnCertificateSource.open(tls))
  }

  /**
   * New ticket keys each time: a session made under the former context cannot be resumed, for the
   * TLS library would not look at its certificate again.
   */
  contextOptions(): SecureContextOptions & { readonly ticketKeys: Buffer } {
    return {
      ...tlsProfile(this.#tls.minVersion),
      ...trustContext(this.#tls.trust),
      ...this.#own.current,
      sessionIdContext: `keyspring-${this.#name}`,
      ticketKeys: randomBytes(TICKET_KEY_BYTES),
    }
  }

  /** Applies what changed in the files since the last time. Never rejects: what cannot be used is told. */
  async refresh(server: HttpsServer, connections: Connections): Promise<void> {
    const ownChanged = await this.#attempt('certificate', () => this.#own.refresh())
    const trustChanged = await this.#attempt('trust', () => this.#tls.trust.refresh())
    if (!ownChanged && !trustChanged) return
    const applied = await this.#attempt('context', async () => {
      server.setSecureContext(this.contextOptions())
      return true
    })
    // Also where the new context was refused: what the trust no longer allows must go.
    const closed = trustChanged ? connections.destroyUnless(this.#tls.stillAllowed) : 0
    if (applied) this.#tellApplied(ownChanged, trustChanged, closed)
  }

  async #attempt(what: string, work: () => Promise<boolean>): Promise<boolean> {
    try {
      return await work()
    } catch (error) {
      this.#observer.event({
        level: 'error',
        name: `listener.${what}.refused`,
        message: `the ${this.#name} listener goes on with what it had: ${messageOf(error)}`,
        fields: { listener: this.#name },
      })
      return false
    }
  }

  #tellApplied(certificate: boolean, trust: boolean, closed: number): void {
    const what = [certificate ? 'its certificate' : '', trust ? 'CAs or revocation lists' : '']
    this.#observer.event({
      level: 'info',
      name: 'listener.tls.reloaded',
      message: `the ${this.#name} listener has read ${what.filter(Boolean).join(' and ')} again; ${String(closed)} connections closed`,
      fields: { listener: this.#name, certificate, trust, closed },
    })
  }
}
