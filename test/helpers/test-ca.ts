import 'reflect-metadata'
import { KeyObject, randomBytes, webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'

/** Certificate authorities in memory, made in milliseconds: one per test file, no key is ever committed. */

export type TestAlgorithm = 'p256' | 'p384' | 'rsa2048' | 'rsa3072'

export interface TestCertificate {
  /** PEM. */
  readonly cert: string
  /** PEM, PKCS#8, unencrypted. */
  readonly key: string
  /** PEM of the issuing CA: spread the object into TLS options as it is. */
  readonly ca: string
  /** Lower-case hex without a sign byte, as `openssl x509 -serial` has it but for its case. */
  readonly serial: string
}

export interface TestIssueOptions {
  /** `dns:NAME`, `ip:ADDRESS`, `uri:URI` or `email:ADDRESS`; default: localhost and the loopback addresses. */
  readonly san?: readonly string[]
  /** Default: both. An empty list leaves the extension out. */
  readonly eku?: readonly ('clientAuth' | 'serverAuth')[]
  /** Validity from now on; default 30. */
  readonly days?: number
  readonly notBefore?: Date
  readonly notAfter?: Date
  readonly algorithm?: TestAlgorithm
  /** Instead of a single CN with the name: one object per RDN, several members are one multi-valued RDN. */
  readonly subject?: readonly Readonly<Record<string, readonly string[]>>[]
  /** basicConstraints CA:TRUE on the certificate. */
  readonly isCa?: boolean
  readonly serial?: string
}

export interface TestCrlOptions {
  readonly thisUpdate?: Date
  readonly nextUpdate?: Date
}

export interface TestCa {
  /** PEM of the CA certificate. */
  readonly ca: string
  /** PEM of its private key. */
  readonly caKey: string
  /** A certificate with CN = `name` for TLS servers and clients on loopback. */
  issue(name: string, options?: TestIssueOptions): Promise<TestCertificate>
  /** A CRL, PEM as OpenSSL reads it, valid for a day. */
  crl(revokedSerials: readonly string[], options?: TestCrlOptions): Promise<string>
}

export interface TestCaOptions {
  readonly name?: string
  readonly algorithm?: TestAlgorithm
  /** Default: an hour ago. */
  readonly notBefore?: Date
  /** Default: in a year. */
  readonly notAfter?: Date
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

const ALGORITHMS = {
  p256: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  p384: { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' },
  rsa2048: rsa(2048),
  rsa3072: rsa(3072),
} as const

function rsa(modulusLength: number) {
  const publicExponent = new Uint8Array([1, 0, 1])
  return { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength, publicExponent } as const
}

const generateKeys = (algorithm: TestAlgorithm): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(ALGORITHMS[algorithm], true, ['sign', 'verify'])

const privatePem = (key: webcrypto.CryptoKey): string =>
  KeyObject.from(key).export({ type: 'pkcs8', format: 'pem' }) as string

/** Positive, 16 bytes. */
const randomSerial = (): string => {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40
  return bytes.toString('hex')
}

const EKU = { clientAuth: '1.3.6.1.5.5.7.3.2', serverAuth: '1.3.6.1.5.5.7.3.1' } as const

const SAN_TYPES: Readonly<Record<string, x509.GeneralNameType>> = {
  dns: 'dns',
  ip: 'ip',
  uri: 'url',
  email: 'email',
}

const generalName = (text: string): x509.GeneralName => {
  const colon = text.indexOf(':')
  const type = SAN_TYPES[text.slice(0, colon)]
  if (type === undefined) throw new TypeError(`not a subject alternative name: ${text}`)
  return new x509.GeneralName(type, text.slice(colon + 1))
}

const sanExtension = (names: readonly string[]): x509.Extension[] =>
  names.length === 0
    ? []
    : [new x509.SubjectAlternativeNameExtension(names.map((name) => generalName(name).toJSON()))]

const ekuExtension = (usages: readonly (keyof typeof EKU)[]): x509.Extension[] =>
  usages.length === 0 ? [] : [new x509.ExtendedKeyUsageExtension(usages.map((name) => EKU[name]))]

const leafExtensions = (options: TestIssueOptions): x509.Extension[] => [
  new x509.BasicConstraintsExtension(options.isCa === true, undefined, true),
  ...sanExtension(options.san ?? ['dns:localhost', 'ip:127.0.0.1', 'ip:::1']),
  ...ekuExtension(options.eku ?? ['clientAuth', 'serverAuth']),
]

interface Authority {
  readonly certificate: x509.X509Certificate
  readonly keys: webcrypto.CryptoKeyPair
  readonly signing: (typeof ALGORITHMS)[TestAlgorithm]
}

/** As UTF8String objects: given as plain strings, quotes and backslashes in them would be read as escapes. */
const nameOf = (rdns: NonNullable<TestIssueOptions['subject']>): x509.Name =>
  new x509.Name(
    rdns.map((rdn) =>
      Object.fromEntries(
        Object.entries(rdn).map(([type, values]) => [
          type,
          values.map((utf8String) => ({ utf8String })),
        ]),
      ),
    ),
  )

const createAuthority = async ({
  name = 'Test CA',
  algorithm = 'p256',
  notBefore = new Date(Date.now() - HOUR_MS),
  notAfter = new Date(Date.now() + 365 * DAY_MS),
}: TestCaOptions): Promise<Authority> => {
  const keys = await generateKeys(algorithm)
  const signing = ALGORITHMS[algorithm]
  const { keyCertSign, cRLSign } = x509.KeyUsageFlags
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: nameOf([{ CN: [name] }]),
    keys,
    signingAlgorithm: signing,
    serialNumber: randomSerial(),
    notBefore,
    notAfter,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(keyCertSign | cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { certificate, keys, signing }
}

const issueFrom = async (
  authority: Authority,
  name: string,
  options: TestIssueOptions,
): Promise<TestCertificate> => {
  const keys = await generateKeys(options.algorithm ?? 'p256')
  const serial = options.serial ?? randomSerial()
  const subject = nameOf(options.subject ?? [{ CN: [name] }])
  const certificate = await x509.X509CertificateGenerator.create({
    subject,
    issuer: authority.certificate.subjectName,
    serialNumber: serial,
    notBefore: options.notBefore ?? new Date(Date.now() - HOUR_MS),
    notAfter: options.notAfter ?? new Date(Date.now() + (options.days ?? 30) * DAY_MS),
    publicKey: keys.publicKey,
    signingKey: authority.keys.privateKey,
    signingAlgorithm: authority.signing,
    extensions: [
      ...leafExtensions(options),
      await x509.AuthorityKeyIdentifierExtension.create(authority.keys.publicKey),
    ],
  })
  const ca = authority.certificate.toString('pem')
  return { cert: certificate.toString('pem'), key: privatePem(keys.privateKey), ca, serial }
}

const crlOf = async (
  authority: Authority,
  serials: readonly string[],
  options: TestCrlOptions,
): Promise<string> => {
  const crl = await x509.X509CrlGenerator.create({
    issuer: authority.certificate.subjectName,
    thisUpdate: options.thisUpdate ?? new Date(Date.now() - HOUR_MS),
    nextUpdate: options.nextUpdate ?? new Date(Date.now() + DAY_MS),
    entries: serials.map((serialNumber) => ({ serialNumber, revocationDate: new Date() })),
    signingAlgorithm: authority.signing,
    signingKey: authority.keys.privateKey,
    extensions: [await x509.AuthorityKeyIdentifierExtension.create(authority.keys.publicKey)],
  })
  return x509.PemConverter.encode(crl.rawData, 'X509 CRL')
}

export const createTestCa = async (options: TestCaOptions = {}): Promise<TestCa> => {
  const authority = await createAuthority(options)
  return {
    ca: authority.certificate.toString('pem'),
    caKey: privatePem(authority.keys.privateKey),
    issue: (name, issueOptions = {}) => issueFrom(authority, name, issueOptions),
    crl: (serials, crlOptions = {}) => crlOf(authority, serials, crlOptions),
  }
}
