import 'reflect-metadata'
import type { webcrypto } from 'node:crypto'
import { join } from 'node:path'
import * as x509 from '@peculiar/x509'
import { KmeError } from '../errors.ts'
import { wipe } from '../support/wipe.ts'
import {
  DEFAULT_ALGORITHM,
  type KeyAlgorithm,
  exportPrivateKey,
  generateKeyPair,
} from './algorithms.ts'
import {
  type Authority,
  BACKDATED_MS,
  authorityCertificateFile,
  openAuthority,
  randomSerial,
  subjectOf,
} from './authority.ts'
import { updateIndex } from './ca-index.ts'
import { PRIVATE_MODE, makeFolder, writeNewFile } from './files.ts'
import { checkName, defaultHosts, identityUrn, parseAltName, safeFileName } from './names.ts'
import { type Pkcs12Secret, writePkcs12 } from './pkcs12-file.ts'
import type { Role } from './roles.ts'

export interface IssueOptions {
  readonly role: Role
  /** SAE ID, KME ID or the operator's name: 1 to 291 characters of any kind but control characters. */
  readonly name: string
  /** Folder for the files; default: `issued/ROLE` in the CA folder. */
  readonly out?: string
  /** `dns:`, `ip:`, `uri:`, `email:`; for a KME instead of the hosts that it gets by itself. */
  readonly san?: readonly string[]
  /** Validity from now on; default 365. */
  readonly days?: number
  /** Default: p256. */
  readonly algorithm?: KeyAlgorithm
  /** Also a PKCS#12 bundle with key, certificate and CA. */
  readonly pkcs12?: Pkcs12Secret
}

export interface IssuedFiles {
  readonly serial: string
  readonly certFile: string
  readonly keyFile: string
  /** The KME CA: with it every client, SAE, KME or operator, verifies the KME that it calls. */
  readonly caFile: string
  /** The CA that issued this certificate. */
  readonly issuerFile: string
  readonly pkcs12File?: string
  /** Where the password of the bundle was made up: the file that has it. */
  readonly pkcs12PasswordFile?: string
}

const DAY_MS = 86_400_000
const DEFAULT_DAYS = 365

const altNames = ({ role, name, san }: IssueOptions): x509.JsonGeneralName[] => {
  const hosts = san ?? (role === 'kme' ? defaultHosts(name) : [])
  return [...new Set([`uri:${identityUrn(role, name)}`, ...hosts])].map(parseAltName)
}

const { clientAuth, serverAuth } = x509.ExtendedKeyUsage

const extensionsOf = async (
  authority: Authority,
  publicKey: webcrypto.CryptoKey,
  options: IssueOptions,
): Promise<x509.Extension[]> => {
  // A KME serves and calls other KMEs with one certificate; SAEs and operators only call.
  const usages = options.role === 'kme' ? [serverAuth, clientAuth] : [clientAuth]
  return [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension(usages),
    new x509.SubjectAlternativeNameExtension(altNames(options)),
    await x509.SubjectKeyIdentifierExtension.create(publicKey),
    await x509.AuthorityKeyIdentifierExtension.create(authority.certificate.publicKey),
  ]
}

const expiryOf = (authority: Authority, days: number): Date => {
  const expiry = new Date(Date.now() + days * DAY_MS)
  const { notAfter } = authority.certificate
  if (expiry <= notAfter) return expiry
  const end = notAfter.toISOString()
  throw new KmeError('USAGE', `${String(days)} days are too many: the CA itself ends ${end}`)
}

const signCertificate = async (
  authority: Authority,
  publicKey: webcrypto.CryptoKey,
  options: IssueOptions,
): Promise<x509.X509Certificate> =>
  x509.X509CertificateGenerator.create({
    subject: subjectOf(options.name),
    issuer: authority.certificate.subjectName,
    serialNumber: randomSerial(),
    notBefore: new Date(Date.now() - BACKDATED_MS),
    notAfter: expiryOf(authority, options.days ?? DEFAULT_DAYS),
    publicKey,
    signingKey: authority.signing.key,
    signingAlgorithm: authority.signing.algorithm,
    extensions: await extensionsOf(authority, publicKey, options),
  })

const record = (
  authority: Authority,
  certificate: x509.X509Certificate,
  { role, name }: IssueOptions,
): Promise<void> =>
  updateIndex(authority.folder, (index) => {
    index.certificates.push({
      name,
      serial: certificate.serialNumber,
      role,
      issuedAt: new Date().toISOString(),
      expiresAt: certificate.notAfter.toISOString(),
      revokedAt: null,
    })
  })

interface Made {
  readonly certificate: x509.X509Certificate
  readonly keyPem: Buffer
}

const writeFiles = async (
  dir: string,
  authority: Authority,
  { certificate, keyPem }: Made,
  options: IssueOptions,
): Promise<IssuedFiles> => {
  const out = options.out ?? join(dir, 'issued', options.role)
  const base = join(out, safeFileName(options.name))
  await makeFolder(out)
  await writeNewFile(`${base}.key`, keyPem, PRIVATE_MODE)
  await writeNewFile(`${base}.crt`, `${certificate.toString('pem')}\n`)
  const bundle =
    options.pkcs12 === undefined
      ? {}
      : await writePkcs12(`${base}.p12`, options.pkcs12, {
          keyPem,
          name: options.name,
          chain: [certificate, authority.certificate].map(({ rawData }) => Buffer.from(rawData)),
        })
  return {
    serial: certificate.serialNumber,
    certFile: `${base}.crt`,
    keyFile: `${base}.key`,
    caFile: authorityCertificateFile(dir, 'kme'),
    issuerFile: authorityCertificateFile(dir, options.role),
    ...bundle,
  }
}

/**
 * Issues a certificate with a new key. The index has it before its files exist, so that whatever
 * was issued can be revoked.
 * @throws KmeError PKI_INVALID: no CA, or a file is already there; USAGE: a name or option that cannot be
 */
export const issueCertificate = async (
  dir: string,
  options: IssueOptions,
): Promise<IssuedFiles> => {
  checkName(options.name)
  const authority = await openAuthority(dir, options.role)
  const keys = await generateKeyPair(options.algorithm ?? DEFAULT_ALGORITHM)
  const certificate = await signCertificate(authority, keys.publicKey, options)
  await record(authority, certificate, options)
  const keyPem = exportPrivateKey(keys.privateKey)
  try {
    return await writeFiles(dir, authority, { certificate, keyPem }, options)
  } finally {
    wipe(keyPem)
  }
}
