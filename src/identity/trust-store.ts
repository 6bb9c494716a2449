import type { X509Certificate } from 'node:crypto'
import { KmeError } from '../errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { Observer } from '../ports/observer.ts'
import {
  type CaBundle,
  type CaCertificate,
  type CaOptions,
  isIssuedBy,
  readCaBundle,
} from './ca-bundle.ts'
import { normalSerial } from './certificate-facts.ts'
import { CrlFile } from './crl-file.ts'
import { type Refusal, refusal } from './refusal.ts'

export interface TrustOptions {
  readonly cas: readonly CaOptions[]
  readonly clock: Clock
  readonly observer: Observer
}

interface Member {
  readonly bundle: CaBundle
  readonly crl: CrlFile | null
}

/** How often `watch` looks at the files: a revocation takes effect within about this time. */
const WATCH_EVERY_MS = 1000

/** A key under two names would leave open whose certificates it signs. */
const refuseShared = (bundles: readonly CaBundle[]): void => {
  const owners = new Map<string, string>()
  for (const { certificate, ca } of bundles.flatMap((bundle) => bundle.certificates)) {
    const key = certificate.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')
    const other = owners.get(key) ?? ca
    if (other !== ca) {
      throw new KmeError('CONFIG_INVALID', `the CAs ${other} and ${ca} share a certificate or key`)
    }
    owners.set(key, ca)
  }
}

const openMember = async (bundle: CaBundle, options: TrustOptions): Promise<Member> => {
  const { crlFile } = bundle.options
  const { clock, observer } = options
  const crl =
    crlFile === undefined ? null : await CrlFile.open(crlFile, { bundle, clock, observer })
  return { bundle, crl }
}

/** The CAs of one listener and their revocation lists. */
export class TrustStore {
  readonly #members: ReadonlyMap<string, Member>
  readonly #clock: Clock

  private constructor(members: readonly Member[], clock: Clock) {
    this.#members = new Map(members.map((member) => [member.bundle.options.name, member]))
    this.#clock = clock
  }

  /** @throws KmeError CONFIG_INVALID: a file that cannot be used, a leaf among the CAs, a CA under two names */
  static async load(options: TrustOptions): Promise<TrustStore> {
    const bundles = await Promise.all(options.cas.map(readCaBundle))
    refuseShared(bundles)
    const members = await Promise.all(bundles.map((bundle) => openMember(bundle, options)))
    return new TrustStore(members, options.clock)
  }

  /** For the TLS option `ca`. */
  caPem(): string[] {
    return [...this.#members.values()].map(({ bundle }) => bundle.pem)
  }

  /**
   * For the TLS option `crl`; empty where the TLS library must not judge revocation. With any list
   * given it demands a current one from every CA certificate, so one CA without, or with an
   * expired one that only warns, would lock out others. `revocationOf` judges in any case.
   */
  crlPem(): string[] {
    const members = [...this.#members.values()]
    const everyone = members.every(({ bundle, crl }) =>
      bundle.certificates.every(
        ({ fingerprint }) =>
          bundle.options.crlExpired !== 'warn' && crl?.lists.has(fingerprint) === true,
      ),
    )
    return everyone ? members.flatMap(({ crl }) => (crl === null ? [] : [crl.pem])) : []
  }

  /**
   * The CA certificate that issued this one, by signature, or null. It must itself be configured:
   * intermediates that only the client sends are not followed. Costs a signature check; ask once
   * per connection.
   */
  issuerOf(certificate: X509Certificate): CaCertificate | null {
    for (const { bundle } of this.#members.values()) {
      const issuer = bundle.certificates.find((one) => isIssuedBy(certificate, one.certificate))
      if (issuer !== undefined) return issuer
    }
    return null
  }

  /** The configured name of that CA, or null. */
  issuerNameOf(certificate: X509Certificate): string | null {
    return this.issuerOf(certificate)?.ca ?? null
  }

  /**
   * Whether a certificate, or a CA certificate above it, is revoked now, by the lists in use; null
   * where not. A few map look-ups, no cryptography.
   */
  revocationOf(serial: string, issuer: CaCertificate): Refusal | null {
    const member = this.#members.get(issuer.ca)
    if (member === undefined || member.crl === null) return null
    let checked = serial
    for (let above: CaCertificate | null = issuer; above !== null; above = above.issuer) {
      const problem = this.#judge(member, checked, above, above === issuer)
      if (problem !== null) return problem
      checked = normalSerial(above.certificate.serialNumber)
    }
    return null
  }

  #judge(
    { bundle, crl }: Member,
    serial: string,
    issuer: CaCertificate,
    isLeaf: boolean,
  ): Refusal | null {
    const list = crl?.lists.get(issuer.fingerprint)
    const { name, crlExpired } = bundle.options
    if (list === undefined) {
      return isLeaf
        ? refusal('crl-missing', `the CA ${name} has no revocation list of its issuer`)
        : null
    }
    if (list.serials.has(serial)) return refusal('revoked', `the CA ${name} revoked it (${serial})`)
    return list.nextUpdateMs <= this.#clock.wallMs() && crlExpired !== 'warn'
      ? refusal('crl-expired', `the revocation list of the CA ${name} is out of date`)
      : null
  }

  /**
   * Reads revocation lists whose files changed; true where one did. Who gets true gives its server
   * a new secure context with new ticket keys and closes the connections of those now refused.
   */
  async refresh(): Promise<boolean> {
    const crls = [...this.#members.values()].flatMap(({ crl }) => (crl === null ? [] : [crl]))
    const changes = await Promise.all(crls.map((crl) => crl.refresh()))
    return changes.includes(true)
  }

  /** Refreshes about once a second until the returned function is called. */
  watch(onChange: () => void): () => void {
    let stopped = false
    let cancel = (): void => undefined
    const look = async (): Promise<void> => {
      if (await this.refresh()) if (!stopped) onChange()
      arm()
    }
    const arm = (): void => {
      if (!stopped) cancel = this.#clock.after(WATCH_EVERY_MS, () => void look())
    }
    arm()
    return () => {
      stopped = true
      cancel()
    }
  }
}
