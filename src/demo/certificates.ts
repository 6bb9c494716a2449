import { X509Certificate, createPrivateKey } from 'node:crypto'
import { stat, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { authorityCertificateFile, authorityCrlFile } from '../pki/authority.ts'
import { writeCrl } from '../pki/crl.ts'
import { initAuthorities } from '../pki/init.ts'
import { issueCertificate } from '../pki/issue.ts'
import { ROLES, type Role } from '../pki/roles.ts'
import { readSecretFile } from '../support/secret-file.ts'
import { wipe } from '../support/wipe.ts'
import { type CertificatePaths, type DemoLayout, OPERATOR, sitesOf } from './layout.ts'

const DAY_MS = 86_400_000
/** A certificate that ends sooner is replaced at the start. */
const RENEW_DAYS = 31
/** The revocation lists are good for a month. */
const CRL_RENEW_DAYS = 1

interface Wanted extends CertificatePaths {
  readonly role: Role
  readonly name: string
}

const wantedBy = (layout: DemoLayout): readonly Wanted[] => [
  ...sitesOf(layout).flatMap(({ kmeId, certFile, keyFile, saeId, sae }): Wanted[] => [
    { role: 'kme', name: kmeId, certFile, keyFile },
    { role: 'sae', name: saeId, ...sae },
  ]),
  { role: 'operator', name: OPERATOR, ...layout.operator },
]

const exists = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined)) !== undefined

/** The three CAs appear whole or not at all: a demo that was stopped meanwhile leaves nothing. */
const makeAuthorities = async ({ pkiDir }: DemoLayout): Promise<boolean> => {
  const unfinished = `${pkiDir}.new`
  await rm(unfinished, { recursive: true, force: true })
  if (await exists(pkiDir)) return false
  await initAuthorities(unfinished)
  await rename(unfinished, pkiDir)
  return true
}

/** Whether the files are there, belong together and to the CA, and last for a while. */
const isGood = async ({ pkiDir }: DemoLayout, wanted: Wanted): Promise<boolean> => {
  const ca = new X509Certificate(await readFile(authorityCertificateFile(pkiDir, wanted.role)))
  try {
    const certificate = new X509Certificate(await readFile(wanted.certFile))
    const pem = await readSecretFile(wanted.keyFile)
    try {
      return (
        certificate.checkPrivateKey(createPrivateKey(pem)) &&
        certificate.verify(ca.publicKey) &&
        certificate.validToDate.getTime() > Date.now() + RENEW_DAYS * DAY_MS
      )
    } finally {
      wipe(pem)
    }
  } catch {
    // Missing or cut short: made again.
    return false
  }
}

const issue = async (layout: DemoLayout, wanted: Wanted): Promise<void> => {
  await rm(wanted.certFile, { force: true })
  await rm(wanted.keyFile, { force: true })
  const { role, name, certFile } = wanted
  await issueCertificate(layout.pkiDir, { role, name, out: dirname(certFile) })
}

/**
 * Makes the CAs and certificates of the demo, where they are missing or about to end, and renews
 * the revocation lists. Returns what was made, in words; nothing where all was there.
 */
export const makeCertificates = async (layout: DemoLayout): Promise<readonly string[]> => {
  const made: string[] = []
  if (await makeAuthorities(layout)) made.push('three CAs: for KMEs, SAEs and operators')
  const issued: string[] = []
  for (const wanted of wantedBy(layout)) {
    if (await isGood(layout, wanted)) continue
    await issue(layout, wanted)
    issued.push(wanted.name)
  }
  if (issued.length > 0) made.push(`certificates for ${issued.join(', ')}`)
  await renewCrls(layout)
  return made
}

/** A KME refuses every certificate of a CA whose list is out of date. */
const renewCrls = async ({ pkiDir }: DemoLayout): Promise<void> => {
  for (const role of ROLES) {
    const written = await stat(authorityCrlFile(pkiDir, role)).catch(() => undefined)
    const ageMs = Date.now() - (written?.mtimeMs ?? 0)
    if (ageMs > CRL_RENEW_DAYS * DAY_MS) await writeCrl(pkiDir, role)
  }
}
