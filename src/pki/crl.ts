import 'reflect-metadata'
import forge from 'node-forge'
import * as x509 from '@peculiar/x509'
import { type Authority, BACKDATED_MS, authorityCrlFile, openAuthority } from './authority.ts'
import { type CaIndex, updateIndex } from './ca-index.ts'
import { replaceFile } from './files.ts'
import type { Role } from './roles.ts'

export interface CrlOptions {
  /** Days until the next list is due; default 30. A server refuses every certificate of the CA after that. */
  readonly days?: number
}

export interface WrittenCrl {
  readonly file: string
  readonly revoked: number
  readonly nextUpdate: Date
}

const DAY_MS = 86_400_000
const DEFAULT_DAYS = 30
const CRL_NUMBER = '2.5.29.20'

const crlNumber = (number: number): x509.Extension => {
  const der = forge.asn1.toDer(
    forge.asn1.create(
      forge.asn1.Class.UNIVERSAL,
      forge.asn1.Type.INTEGER,
      false,
      forge.asn1.integerToDer(number).getBytes(),
    ),
  )
  return new x509.Extension(CRL_NUMBER, false, Buffer.from(der.getBytes(), 'latin1'))
}

const sign = async (
  authority: Authority,
  index: CaIndex,
  nextUpdate: Date,
): Promise<x509.X509Crl> => {
  const revoked = index.certificates.flatMap(({ serial, revokedAt }) =>
    revokedAt === null
      ? []
      : [{ serialNumber: serial, revocationDate: new Date(revokedAt) } as const],
  )
  return x509.X509CrlGenerator.create({
    issuer: authority.certificate.subjectName,
    thisUpdate: new Date(Date.now() - BACKDATED_MS),
    nextUpdate,
    entries: revoked,
    signingKey: authority.signing.key,
    signingAlgorithm: authority.signing.algorithm,
    extensions: [
      crlNumber(index.crlNumber),
      await x509.AuthorityKeyIdentifierExtension.create(authority.certificate.publicKey),
    ],
  })
}

/** Signs and puts in place the list of what the index says is revoked; `index` gets the new number. */
const publish = async (
  dir: string,
  role: Role,
  authority: Authority,
  index: CaIndex,
  days: number,
): Promise<WrittenCrl> => {
  index.crlNumber += 1
  const nextUpdate = new Date(Date.now() + days * DAY_MS)
  const crl = await sign(authority, index, nextUpdate)
  const file = authorityCrlFile(dir, role)
  // OpenSSL and Node know a revocation list by this label only.
  await replaceFile(file, `${x509.PemConverter.encode(crl.rawData, 'X509 CRL')}\n`)
  const revoked = index.certificates.filter(({ revokedAt }) => revokedAt !== null).length
  return { file, revoked, nextUpdate }
}

/** Writes a fresh revocation list of a CA in the place of the old one, and counts its number up. */
export const writeCrl = async (
  dir: string,
  role: Role,
  options: CrlOptions = {},
): Promise<WrittenCrl> => changeAndPublish(dir, role, options, () => {})

/** Changes the index and publishes the list that follows from it, as one step for other processes. */
export const changeAndPublish = async (
  dir: string,
  role: Role,
  options: CrlOptions,
  change: (index: CaIndex) => void,
): Promise<WrittenCrl> => {
  const authority = await openAuthority(dir, role)
  return updateIndex(authority.folder, async (index) => {
    change(index)
    return publish(dir, role, authority, index, options.days ?? DEFAULT_DAYS)
  })
}
