import { X509Certificate } from 'node:crypto'
import { KmeError } from '../errors.ts'
import { readRegularFile } from '../support/secret-file.ts'

/** A certificate authority as a listener's configuration names it. */
export interface CaOptions {
  readonly name: string
  /** PEM files: roots and intermediates, nothing else. */
  readonly files: readonly string[]
  readonly crlFile?: string
  /** What a revocation list past its next update means; default: refuse. */
  readonly crlExpired?: 'refuse' | 'warn'
}

/** One certificate of a CA, with the way from it up to the last one that is known. */
export interface CaCertificate {
  readonly ca: string
  readonly certificate: X509Certificate
  readonly fingerprint: string
  /** The certificate that issued this one, where it is another one of the same CA. */
  readonly issuer: CaCertificate | null
  /** When it, or the first above it, expires. */
  readonly validToMs: number
}

export interface CaBundle {
  readonly options: CaOptions
  readonly pem: string
  readonly certificates: readonly CaCertificate[]
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g

const unusable = (file: string, reason: string, cause?: unknown): KmeError =>
  new KmeError('CONFIG_INVALID', `${file}: ${reason}`, cause === undefined ? {} : { cause })

const parse = (file: string, pem: string): X509Certificate => {
  try {
    return new X509Certificate(pem)
  } catch (error) {
    throw unusable(file, 'holds a certificate that cannot be read', error)
  }
}

const readFile = async (file: string): Promise<readonly X509Certificate[]> => {
  const blocks = (await readRegularFile(file)).toString('latin1').match(PEM_CERTIFICATE) ?? []
  if (blocks.length === 0) throw unusable(file, 'holds no PEM certificate ("BEGIN CERTIFICATE")')
  const certificates = blocks.map((block) => parse(file, block))
  // A leaf as an anchor would vouch for whatever it signs, in some readers (CVE-2024-2048).
  const leaf = certificates.find((certificate) => !certificate.ca)
  if (leaf === undefined) return certificates
  throw unusable(file, `${JSON.stringify(leaf.subject)} in it is not a CA certificate`)
}

/** Whether `issuer` issued `certificate`: names and key identifiers agree, and the signature verifies. */
export const isIssuedBy = (certificate: X509Certificate, issuer: X509Certificate): boolean =>
  certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)

const link = (ca: string, certificates: readonly X509Certificate[]): readonly CaCertificate[] => {
  const known = new Map<X509Certificate, CaCertificate>()
  const nodeOf = (
    certificate: X509Certificate,
    below: readonly X509Certificate[],
  ): CaCertificate => {
    const made = known.get(certificate)
    if (made !== undefined) return made
    const above = certificates.find(
      (other) => other !== certificate && !below.includes(other) && isIssuedBy(certificate, other),
    )
    const issuer = above === undefined ? null : nodeOf(above, [...below, certificate])
    const ownMs = certificate.validToDate.getTime()
    const validToMs = Math.min(ownMs, issuer?.validToMs ?? ownMs)
    const node = { ca, certificate, fingerprint: certificate.fingerprint256, issuer, validToMs }
    known.set(certificate, node)
    return node
  }
  return certificates.map((certificate) => nodeOf(certificate, []))
}

/**
 * Reads the certificates of a CA.
 * @throws KmeError CONFIG_INVALID: unreadable, or a certificate among them is not a CA's
 */
export const readCaBundle = async (options: CaOptions): Promise<CaBundle> => {
  const files = await Promise.all(options.files.map(readFile))
  const distinct = new Map(files.flat().map((one) => [one.fingerprint256, one]))
  const certificates = [...distinct.values()]
  const pem = certificates.map((certificate) => certificate.toString()).join('')
  return { options, pem, certificates: link(options.name, certificates) }
}
