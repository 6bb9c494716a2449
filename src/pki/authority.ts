import 'reflect-metadata'
import { randomBytes, type webcrypto } from 'node:crypto'
import { join } from 'node:path'
import * as x509 from '@peculiar/x509'
import { KmeError, messageOf } from '../errors.ts'
import { readRegularFile, readSecretFile } from '../support/secret-file.ts'
import { wipe } from '../support/wipe.ts'
import {
  DEFAULT_ALGORITHM,
  type KeyAlgorithm,
  type SigningKey,
  exportPrivateKey,
  generateKeyPair,
  importSigningKey,
  signingParameters,
} from './algorithms.ts'
import { createIndex } from './ca-index.ts'
import { PRIVATE_MODE, makeFolder, writeNewFile } from './files.ts'
import { CA_NAMES, type Role } from './roles.ts'

const DAY_MS = 86_400_000
const CA_DAYS = 3650
/** Clocks of the machines around may be behind. */
export const BACKDATED_MS = 300_000

/** A CA, ready to sign. */
export interface Authority {
  readonly folder: string
  readonly certificate: x509.X509Certificate
  readonly signing: SigningKey
}

export const authorityFolder = (dir: string, role: Role): string => join(dir, `${role}-ca`)
export const authorityCertificateFile = (dir: string, role: Role): string =>
  join(authorityFolder(dir, role), 'ca.crt')
export const authorityCrlFile = (dir: string, role: Role): string =>
  join(authorityFolder(dir, role), 'crl.pem')
const keyFileOf = (folder: string): string => join(folder, 'ca.key')

const SERIAL_BYTES = 20

/** 20 random bytes, positive and without leading zeros whatever reads them; lower-case hex. */
export const randomSerial = (): string => {
  const bytes = randomBytes(SERIAL_BYTES)
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40
  return bytes.toString('hex')
}

/** As a UTF8String object: in a plain string the library would read quotes and backslashes as escapes. */
export const subjectOf = (commonName: string): x509.Name =>
  new x509.Name([{ CN: [{ utf8String: commonName }] }])

const sign = async (
  role: Role,
  keys: webcrypto.CryptoKeyPair,
  algorithm: KeyAlgorithm,
): Promise<x509.X509Certificate> => {
  const now = Date.now()
  const { keyCertSign, cRLSign } = x509.KeyUsageFlags
  return x509.X509CertificateGenerator.createSelfSigned({
    // CAs of two installations do not share a name.
    name: subjectOf(`${CA_NAMES[role]} ${randomBytes(4).toString('hex')}`),
    serialNumber: randomSerial(),
    notBefore: new Date(now - BACKDATED_MS),
    notAfter: new Date(now + CA_DAYS * DAY_MS),
    keys,
    signingAlgorithm: signingParameters(algorithm),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(keyCertSign | cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
}

/**
 * Makes the CA of a role: certificate, key (0600) and an empty index.
 * @throws KmeError PKI_INVALID where there is one already
 */
export const createAuthority = async (
  dir: string,
  role: Role,
  algorithm: KeyAlgorithm = DEFAULT_ALGORITHM,
): Promise<void> => {
  const folder = authorityFolder(dir, role)
  await makeFolder(folder)
  const keys = await generateKeyPair(algorithm)
  const certificate = await sign(role, keys, algorithm)
  const pem = exportPrivateKey(keys.privateKey)
  try {
    // The key first: where one is already there, nothing else is touched.
    await writeNewFile(keyFileOf(folder), pem, PRIVATE_MODE)
  } finally {
    wipe(pem)
  }
  await writeNewFile(authorityCertificateFile(dir, role), `${certificate.toString('pem')}\n`)
  await createIndex(folder)
}

/** @throws KmeError PKI_INVALID where there is no CA, or its key is readable by others */
export const openAuthority = async (dir: string, role: Role): Promise<Authority> => {
  const folder = authorityFolder(dir, role)
  try {
    const certificate = await readRegularFile(authorityCertificateFile(dir, role))
    const pem = await readSecretFile(keyFileOf(folder))
    try {
      return {
        folder,
        certificate: new x509.X509Certificate(certificate.toString('latin1')),
        signing: importSigningKey(pem),
      }
    } finally {
      wipe(pem)
    }
  } catch (error) {
    const hint = `(is ${dir} a folder made by \`keyspring pki init\`?)`
    throw new KmeError('PKI_INVALID', `${messageOf(error)} ${hint}`, { cause: error })
  }
}
