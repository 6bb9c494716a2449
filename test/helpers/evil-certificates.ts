import { createSign, generateKeyPairSync } from 'node:crypto'
import forge from 'node-forge'
import type { TestCertificate } from './test-ca.ts'

/**
 * Certificates that an honest CA does not issue, and honest ones that are worth refusing. RSA, for
 * the forging library knows no other keys; which is no matter, for what is wrong is in the names.
 */

export interface EvilOptions {
  /** The common names, one RDN each; also ones with NUL or blanks. */
  readonly commonNames?: readonly string[]
  /** More RDNs, before the common names. */
  readonly before?: readonly forge.pki.CertificateField[]
  readonly eku?: readonly ('clientAuth' | 'serverAuth')[]
  readonly isCa?: boolean
  readonly notBefore?: Date
  readonly notAfter?: Date
  readonly hash?: 'sha1' | 'sha256'
  readonly modulusBits?: number
  /** URIs among the alternative names. */
  readonly uris?: readonly string[]
  /** Signs with its own key, under its own name. */
  readonly selfSigned?: boolean
}

export interface EvilCa {
  /** PEM. */
  readonly ca: string
  forge(options?: EvilOptions): TestCertificate
  /** As if the holder of `leaf`, which is no CA, were one. */
  forgeFromLeaf(leaf: TestCertificate, options?: EvilOptions): TestCertificate
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const URI_TYPE = 6
/** A tag of ASN.1; the declared type of where it goes names another enum of the library. */
const UTF8_STRING = forge.asn1.Type.UTF8 as unknown as forge.asn1.Class

interface Signer {
  readonly subject: forge.pki.CertificateField[]
  readonly pem: string
}

let madeSerials = 0
const nextSerial = (): string => {
  madeSerials += 1
  return `4${madeSerials.toString(16).padStart(7, '0')}`
}

const subjectOf = ({
  commonNames = ['SAE1'],
  before = [],
}: EvilOptions): forge.pki.CertificateField[] => [
  ...before,
  ...commonNames.map((value) => ({
    name: 'commonName',
    value,
    valueTagClass: UTF8_STRING,
  })),
]

const extensionsOf = (options: EvilOptions): object[] => {
  const { eku = ['clientAuth'], uris = [] } = options
  const usages = Object.fromEntries(eku.map((usage) => [usage, true]))
  return [
    { name: 'basicConstraints', cA: options.isCa === true, critical: true },
    ...(eku.length === 0 ? [] : [{ name: 'extKeyUsage', ...usages }]),
    ...(uris.length === 0
      ? []
      : [{ name: 'subjectAltName', altNames: uris.map((value) => ({ type: URI_TYPE, value })) }]),
  ]
}

/** Keys and signatures by the runtime: in a test the forging library would take seconds for them. */
const generate = (bits: number) => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: bits })
  const pem = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString()
  const { n, e } = forge.pki.privateKeyFromPem(pem)
  return { pem, publicKey: forge.pki.setRsaPublicKey(n, e) }
}

const signWith = (
  certificate: forge.pki.Certificate,
  pem: string,
  hash: 'sha1' | 'sha256',
): void => {
  let toBeSigned = ''
  const digest = {
    ...forge.md[hash].create(),
    update: (bytes: string) => {
      toBeSigned = bytes
      return digest
    },
  } as forge.md.MessageDigest
  const sign = () => createSign(hash).update(toBeSigned, 'latin1').sign(pem).toString('latin1')
  certificate.sign({ sign } as unknown as forge.pki.rsa.PrivateKey, digest)
}

const build = (signer: Signer | null, options: EvilOptions) => {
  const keys = generate(options.modulusBits ?? 2048)
  const certificate = forge.pki.createCertificate()
  certificate.publicKey = keys.publicKey
  certificate.serialNumber = nextSerial()
  certificate.validity.notBefore = options.notBefore ?? new Date(Date.now() - HOUR_MS)
  certificate.validity.notAfter = options.notAfter ?? new Date(Date.now() + 30 * DAY_MS)
  const subject = subjectOf(options)
  certificate.setSubject(subject)
  certificate.setIssuer(signer?.subject ?? subject)
  certificate.setExtensions(extensionsOf(options))
  signWith(certificate, signer?.pem ?? keys.pem, options.hash ?? 'sha256')
  return { certificate, keys, subject }
}

type Built = ReturnType<typeof build>

const pemOf = ({ certificate, keys }: Built, ca: string): TestCertificate => ({
  cert: forge.pki.certificateToPem(certificate),
  key: keys.pem,
  ca,
  serial: certificate.serialNumber,
})

export const createEvilCa = (name = 'Evil-minded CA'): EvilCa => {
  const root = build(null, { commonNames: [name], isCa: true, eku: [] })
  const ca = forge.pki.certificateToPem(root.certificate)
  const signer: Signer = { subject: root.subject, pem: root.keys.pem }
  return {
    ca,
    forge: (options = {}) => pemOf(build(options.selfSigned === true ? null : signer, options), ca),
    forgeFromLeaf: (leaf, options = {}) => {
      const issuer = forge.pki.certificateFromPem(leaf.cert)
      return pemOf(build({ subject: issuer.subject.attributes, pem: leaf.key }, options), ca)
    },
  }
}
