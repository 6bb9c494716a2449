import type { X509Certificate } from 'node:crypto'
import { TLSSocket } from 'node:tls'
import type { Clock } from '../ports/clock.ts'
import type { CaCertificate } from './ca-bundle.ts'
import { CertificateFacts } from './certificate-facts.ts'
import type { Identify } from './identify.ts'
import { type Refusal, refusal } from './refusal.ts'
import type { TrustStore } from './trust-store.ts'

/** Who holds a connection, read from its certificate once. */
export interface Identity {
  /** SAE ID, KME ID or operator name. */
  readonly id: string
  /** Name of the CA that issued it. The same ID from another CA is somebody else: compare both. */
  readonly ca: string
  /** Which rule gave it, in words. */
  readonly why: string
  readonly facts: CertificateFacts
  readonly issuer: CaCertificate
}

export type Resolution = { readonly identity: Identity } | { readonly refusal: Refusal }

export interface ResolverOptions {
  readonly trust: TrustStore
  readonly identify: Identify
  readonly clock: Clock
}

/** Certificates whose reading is kept: clients that connect again and again cost no new one. */
const KEPT = 4096

/** The one place where a certificate becomes an identity. */
export class IdentityResolver {
  readonly #trust: TrustStore
  readonly #identify: Identify
  readonly #clock: Clock
  readonly #bySocket = new WeakMap<object, Resolution>()
  readonly #byCertificate = new Map<string, Resolution>()
  #generation = 0

  constructor(options: ResolverOptions) {
    this.#trust = options.trust
    this.#identify = options.identify
    this.#clock = options.clock
  }

  /**
   * The identity of a connection: read at the first call, kept with the socket. It says who holds
   * the connection, not that the certificate is still good: ask `stillValid` on each request, since a
   * resumed TLS session and an open connection outlive expiry and revocation.
   */
  resolve(socket: object): Resolution {
    const known = this.#bySocket.get(socket)
    if (known !== undefined) return known
    const resolution = this.#ofSocket(socket)
    this.#bySocket.set(socket, resolution)
    return resolution
  }

  /** Null where the identity still holds at this moment, else why not. Look-ups, no cryptography. */
  stillValid({ facts, issuer }: Identity): Refusal | null {
    const now = this.#clock.wallMs()
    if (now < facts.validFromMs) return refusal('not-yet-valid', 'it is not valid yet')
    if (now > facts.validToMs) return refusal('expired', 'it has expired')
    const current = this.#trust.current(issuer)
    if (current === null) return refusal('unknown-ca', 'its CA certificate is no longer configured')
    if (now > current.validToMs) return refusal('expired', 'the certificate of its CA has expired')
    return this.#trust.revocationOf(facts.serial, current)
  }

  /** As a server would take this certificate now: identity, dates and revocation. */
  examine(certificate: X509Certificate): Resolution {
    const resolution = this.#read(certificate)
    if ('refusal' in resolution) return resolution
    const problem = this.stillValid(resolution.identity)
    return problem === null ? resolution : { refusal: problem }
  }

  #ofSocket(socket: object): Resolution {
    const certificate =
      socket instanceof TLSSocket && socket.authorized ? socket.getPeerX509Certificate() : undefined
    if (certificate === undefined) {
      return { refusal: refusal('no-certificate', 'no certificate that the TLS library accepted') }
    }
    this.#forgetFormer()
    const key = certificate.fingerprint256
    const resolution = this.#byCertificate.get(key) ?? this.#read(certificate)
    this.#keep(key, resolution)
    return resolution
  }

  /** A certificate without an issuer may have one now, and the other way round. */
  #forgetFormer(): void {
    if (this.#generation === this.#trust.generation) return
    this.#generation = this.#trust.generation
    this.#byCertificate.clear()
  }

  #keep(key: string, resolution: Resolution): void {
    // Taken out and put back: the first in the map is the one unused for longest.
    this.#byCertificate.delete(key)
    this.#byCertificate.set(key, resolution)
    if (this.#byCertificate.size <= KEPT) return
    const oldest = this.#byCertificate.keys().next()
    if (oldest.done !== true) this.#byCertificate.delete(oldest.value)
  }

  #read(certificate: X509Certificate): Resolution {
    const issuer = this.#trust.issuerOf(certificate)
    if (issuer === null) {
      return { refusal: refusal('unknown-ca', 'no configured CA certificate issued it') }
    }
    const facts = new CertificateFacts(certificate)
    const named = this.#identify(facts, issuer.ca)
    if ('code' in named) return { refusal: named }
    return { identity: { ...named, ca: issuer.ca, facts, issuer } }
  }
}
