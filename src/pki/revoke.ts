import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { KmeError } from '../errors.ts'
import { authorityCertificateFile, authorityFolder } from './authority.ts'
import { type IssuedCertificate, readIndex } from './ca-index.ts'
import { type CrlOptions, type WrittenCrl, changeAndPublish } from './crl.ts'
import { ROLES, type Role } from './roles.ts'

export interface RevokeOptions extends CrlOptions {
  /** Needed only where CAs of two roles issued to the same name. */
  readonly role?: Role
}

export interface Revoked {
  readonly role: Role
  readonly certificates: readonly IssuedCertificate[]
  readonly crl: WrittenCrl
}

type Selects = (entry: IssuedCertificate) => boolean

const normalSerial = (text: string): string =>
  text
    .replaceAll(':', '')
    .toLowerCase()
    .replace(/^0+(?=.)/, '')

/** The issuing CA of a certificate file, by signature, and its serial number; null where it is no such file. */
const readCertificate = async (
  dir: string,
  file: string,
): Promise<{ role: Role; serial: string } | null> => {
  try {
    const certificate = new X509Certificate(await readFile(file))
    for (const role of ROLES) {
      const ca = new X509Certificate(await readFile(authorityCertificateFile(dir, role)))
      if (certificate.verify(ca.publicKey)) {
        return { role, serial: normalSerial(certificate.serialNumber) }
      }
    }
  } catch {
    // Not a file, or no certificate: the word was a name that nobody has.
  }
  return null
}

const rolesWith = async (dir: string, roles: readonly Role[], selects: Selects) => {
  const found: Role[] = []
  for (const role of roles) {
    const index = await readIndex(authorityFolder(dir, role))
    if (index.certificates.some(selects)) found.push(role)
  }
  return found
}

/** Which CA, and which of its certificates: by name first, then by serial number, then as a file. */
const select = async (
  dir: string,
  what: string,
  roles: readonly Role[],
): Promise<{ readonly role: Role; readonly selects: Selects }> => {
  const ways: readonly Selects[] = [
    (entry) => entry.name === what,
    (entry) => entry.serial === normalSerial(what),
  ]
  for (const selects of ways) {
    const [role, second] = await rolesWith(dir, roles, selects)
    if (role === undefined) continue
    if (second === undefined) return { role, selects }
    throw new KmeError(
      'USAGE',
      `${JSON.stringify(what)} has certificates of the ${role} and the ${second} CA: say which with --role`,
    )
  }
  const certificate = await readCertificate(dir, what)
  if (certificate !== null && roles.includes(certificate.role)) {
    return { role: certificate.role, selects: ({ serial }) => serial === certificate.serial }
  }
  throw new KmeError(
    'PKI_INVALID',
    `no certificate with the name or serial number ${JSON.stringify(what)} was issued here, and no file of that name is one`,
  )
}

/**
 * Revokes certificates, given by name (all that were issued to it), serial number or file, and
 * writes a new revocation list.
 * @throws KmeError PKI_INVALID: there is none; USAGE: two CAs have one
 */
export const revokeCertificate = async (
  dir: string,
  what: string,
  options: RevokeOptions = {},
): Promise<Revoked> => {
  const roles = options.role === undefined ? ROLES : [options.role]
  const { role, selects } = await select(dir, what, roles)
  const certificates: IssuedCertificate[] = []
  const crl = await changeAndPublish(dir, role, options, (index) => {
    const revokedAt = new Date().toISOString()
    for (const entry of index.certificates.filter(selects)) {
      entry.revokedAt ??= revokedAt
      certificates.push({ ...entry })
    }
  })
  if (certificates.length > 0) return { role, certificates, crl }
  throw new KmeError('PKI_INVALID', `${what} is a certificate that the index does not have`)
}
