import { X509Certificate, createPrivateKey } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { KmeError, messageOf } from '../errors.ts'
import { readRegularFile, readSecretFile, type SecretFileOptions } from '../support/secret-file.ts'
import { wipe } from '../support/wipe.ts'

/** The PEM files that a configuration names, each read and judged alone. Errors are CONFIG_INVALID, `PATH: reason`. */

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g

/** A revocation list of a large CA has some hundred thousand entries. */
const MAX_CRL_BYTES = 67_108_864

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1'
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'

const unusable = (file: string, reason: string, cause?: unknown): KmeError =>
  new KmeError('CONFIG_INVALID', `${file}: ${reason}`, cause === undefined ? {} : { cause })

const parseCertificate = (file: string, pem: string, index: number): X509Certificate => {
  try {
    return new X509Certificate(pem)
  } catch (error) {
    throw unusable(file, `certificate ${String(index + 1)} in it cannot be read`, error)
  }
}

export interface CertificateFile {
  readonly pem: Buffer
  /** At least one, in the order of the file. */
  readonly certificates: readonly [X509Certificate, ...X509Certificate[]]
}

/** Every certificate of a PEM file. @throws KmeError CONFIG_INVALID where there is none */
export const readCertificates = async (file: string): Promise<CertificateFile> => {
  const pem = await readRegularFile(file)
  const blocks = pem.toString('latin1').match(PEM_CERTIFICATE) ?? []
  const [first, ...others] = blocks.map((block, index) => parseCertificate(file, block, index))
  if (first === undefined) throw unusable(file, 'holds no PEM certificate ("BEGIN CERTIFICATE")')
  return { pem, certificates: [first, ...others] }
}

/** A listener's own certificate; `calls` is for one that also serves as a client's. */
export const readOwnCertificate = async (
  file: string,
  calls: boolean,
): Promise<CertificateFile> => {
  const read = await readCertificates(file)
  const usages = read.certificates[0].keyUsage as readonly string[] | undefined
  const needed = calls ? [SERVER_AUTH, CLIENT_AUTH] : [SERVER_AUTH]
  if (usages !== undefined && !needed.every((usage) => usages.includes(usage))) {
    const uses = calls
      ? 'TLS servers and clients: this KME also calls its peers with it'
      : 'TLS servers'
    throw unusable(file, `its extended key usage is not for ${uses}`)
  }
  return read
}

/** CA certificates and nothing else: a leaf among them would be trusted like a CA by some. */
export const readCaBundle = async (file: string): Promise<CertificateFile> => {
  const read = await readCertificates(file)
  const leaf = read.certificates.find((certificate) => !certificate.ca)
  if (leaf !== undefined) {
    throw unusable(file, `${JSON.stringify(leaf.subject)} in it is not a CA certificate`)
  }
  return read
}

/** Checks a revocation list as far as the TLS library takes it. */
export const checkCrl = async (file: string): Promise<void> => {
  const crl = await readRegularFile(file, MAX_CRL_BYTES)
  try {
    createSecureContext({ crl })
  } catch (error) {
    throw unusable(file, 'holds no PEM revocation list ("BEGIN X509 CRL")', error)
  }
}

const parsePrivateKey = (file: string, pem: Buffer) => {
  try {
    return createPrivateKey(pem)
  } catch (error) {
    // The text of the error is not repeated: it comes from a parser that has seen the key.
    const encrypted = /ENCRYPTED/.test(pem.toString('latin1', 0, 1024))
    const reason = encrypted
      ? 'is encrypted: Keyspring has no passphrase; store it unencrypted with mode 0600'
      : 'holds no PEM private key'
    throw unusable(file, reason, error)
  }
}

/** Checks that the key is private, readable, and belongs to the certificate. */
export const checkPrivateKey = async (
  file: string,
  certificate: CertificateFile | undefined,
  options: SecretFileOptions,
): Promise<void> => {
  const pem = await readSecretFile(file, options)
  try {
    const key = parsePrivateKey(file, pem)
    if (certificate === undefined) return
    if (!certificate.certificates[0].checkPrivateKey(key)) {
      throw unusable(file, 'is not the private key of the certificate in certFile')
    }
    checkTls(file, certificate.pem, pem)
  } finally {
    wipe(pem)
  }
}

/** The TLS library's own word: keys too small or signatures too old for it. */
const checkTls = (file: string, cert: Buffer, key: Buffer): void => {
  try {
    createSecureContext({ cert, key })
  } catch (error) {
    throw unusable(file, `the TLS library refuses it: ${messageOf(error)}`, error)
  }
}
