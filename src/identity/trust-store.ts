import type { X509Certificate } from 'node:crypto'
import { KmeError, messageOf } from '../errors.ts'
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
import { fileSignature } from './file-signature.ts'
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

type Members = ReadonlyMap<string, Member>

const openMember = async (
  bundle: CaBundle,
  { clock, observer }: TrustOptions,
  former: Members,
): Promise<[string, Member]> => {
  const { name, crlFile } = bundle.options
  if (crlFile === undefined) return [name, { bundle, crl: null }]
  const before = former.get(name)?.crl
  return [name, { bundle, crl: await CrlFile.open(crlFile, { bundle, clock, observer }, before) }]
}

const openMembers = async (options: TrustOptions, former: Members): Promise<Members> => {
  const bundles = await Promise.all(options.cas.map(readCaBundle))
  refuseShared(bundles)
  return new Map(await Promise.all(bundles.map((bundle) => openMember(bundle, options, former))))
}

const caFilesOf = ({ cas }: TrustOptions): readonly string[] => cas.flatMap(({ files }) => files)

const crlFilesOf = ({ cas }: TrustOptions): readonly string[] =>
  cas.flatMap(({ crlFile }) => (crlFile === undefined ? [] : [crlFile]))

/** The CAs of one listener and their revocation lists. */
export class TrustStore {
  readonly #options: TrustOptions
  #members: Members
  /** Signature of the CA files that `#members` were read from. */
  #inUse: string
  /** Signature of all files when CAs were read last, so that what cannot be used is told once. */
  #tried = ''
  #generation = 0

  private constructor(options: TrustOptions, members: Members, inUse: string) {
    this.#options = options
    this.#members = members
    this.#inUse = inUse
  }

  /** @throws KmeError CONFIG_INVALID: a file that cannot be used, a leaf among the CAs, a CA under two names */
  static async load(options: TrustOptions): Promise<TrustStore> {
    // Before the content: a change in between is seen as one later.
    const signature = await fileSignature(...caFilesOf(options))
    return new TrustStore(options, await openMembers(options, new Map()), signature)
  }

  /** Grows with each change of the CAs: what was found out about a certificate before may be wrong. */
  get generation(): number {
    return this.#generation
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
    if (!everyone) return []
    // One by one: of a text with several lists the TLS library reads the first.
    return members.flatMap(({ crl }) => [...(crl?.lists.values() ?? [])].map(({ pem }) => pem))
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

  /** A CA certificate found before, as it is known now; null where it is no longer configured. */
  current({ ca, fingerprint }: CaCertificate): CaCertificate | null {
    const certificates = this.#members.get(ca)?.bundle.certificates
    return certificates?.find((one) => one.fingerprint === fingerprint) ?? null
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
    return list.nextUpdateMs <= this.#options.clock.wallMs() && crlExpired !== 'warn'
      ? refusal('crl-expired', `the revocation list of the CA ${name} is out of date`)
      : null
  }

  /**
   * Reads CAs and revocation lists whose files changed; true where others are in use now. Who gets
   * true gives its server a new secure context with new ticket keys and closes the connections of
   * those now refused. What cannot be used leaves in place what was read before.
   */
  async refresh(): Promise<boolean> {
    const casChanged = await this.#refreshCas()
    const crls = [...this.#members.values()].flatMap(({ crl }) => (crl === null ? [] : [crl]))
    const changes = await Promise.all(crls.map((crl) => crl.refresh()))
    return casChanged || changes.includes(true)
  }

  async #refreshCas(): Promise<boolean> {
    const present = await fileSignature(...caFilesOf(this.#options))
    if (present === this.#inUse) return false
    // A list may be what the CAs wait for: the two are seldom replaced at the same moment.
    const all = `${present}\n${await fileSignature(...crlFilesOf(this.#options))}`
    if (all === this.#tried) return false
    this.#tried = all
    try {
      this.#members = await openMembers(this.#options, this.#members)
      this.#inUse = present
      this.#generation += 1
      this.#event('info', 'identity.ca.changed', 'new CA certificates are in use')
      return true
    } catch (error) {
      const message = `${messageOf(error)}; the CA certificates read before stay in use`
      this.#event('error', 'identity.ca.unusable', message)
      return false
    }
  }

  #event(level: 'info' | 'error', name: string, message: string): void {
    const cas = this.#options.cas.map((ca) => ca.name).join(', ')
    this.#options.observer.event({ level, name, message, fields: { cas } })
  }
}
