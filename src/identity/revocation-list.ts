import 'reflect-metadata'
import type { X509Certificate } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { KmeError, messageOf } from '../errors.ts'
import { normalSerial } from './certificate-facts.ts'

/** One verified revocation list, reduced to what a request asks. */
export interface RevocationList {
  /** The list alone, however many its file holds. */
  readonly pem: string
  /** SHA-256 fingerprint of the CA certificate that signed it. */
  readonly issuer: string
  readonly serials: ReadonlySet<string>
  readonly thisUpdateMs: number
  /** Infinity where the list says no next update. */
  readonly nextUpdateMs: number
}

/** A list has some eight nodes for each certificate; the reader's own limit is reached at two thousand. */
const LIMITS = { berOptions: { maxNodes: 4_000_000, maxContentLength: 67_108_864 } } as const

const PEM_CRL = /-----BEGIN X509 CRL-----[^-]*-----END X509 CRL-----/g

const unusable = (file: string, reason: string, cause?: unknown): KmeError =>
  new KmeError('CONFIG_INVALID', `${file}: ${reason}`, cause === undefined ? {} : { cause })

/** A critical extension that is not understood changes what the list means (indirect and delta lists, partial scopes). */
const isPlain = (crl: x509.X509Crl): boolean =>
  [crl, ...crl.entries].every((part) => part.extensions.every((extension) => !extension.critical))

const signs = async (issuer: X509Certificate, crl: x509.X509Crl): Promise<boolean> => {
  try {
    const certificate = new x509.X509Certificate(issuer.raw)
    const sameName = Buffer.from(certificate.subjectName.toArrayBuffer()).equals(
      Buffer.from(crl.issuerName.toArrayBuffer()),
    )
    return sameName && (await crl.verify({ publicKey: certificate }))
  } catch {
    return false
  }
}

const findSigner = async (
  crl: x509.X509Crl,
  issuers: readonly X509Certificate[],
): Promise<X509Certificate | undefined> => {
  for (const issuer of issuers) if (await signs(issuer, crl)) return issuer
  return undefined
}

/** Signature algorithms such as Ed25519 name no hash. */
const isSha1 = (crl: x509.X509Crl): boolean => {
  const algorithm: { readonly hash?: { readonly name: string } } = crl.signatureAlgorithm
  return algorithm.hash?.name === 'SHA-1'
}

const parseBlock = (file: string, block: string): x509.X509Crl => {
  try {
    return new x509.X509Crl(block, LIMITS)
  } catch (error) {
    throw unusable(file, `the revocation list cannot be read: ${messageOf(error)}`, error)
  }
}

const readBlock = async (
  file: string,
  block: string,
  issuers: readonly X509Certificate[],
): Promise<RevocationList> => {
  const crl = parseBlock(file, block)
  if (isSha1(crl)) {
    throw unusable(file, 'the revocation list is signed with SHA-1')
  }
  const signer = await findSigner(crl, issuers)
  if (signer === undefined) {
    throw unusable(file, 'the revocation list is not signed by a certificate of this CA')
  }
  if (!isPlain(crl)) throw unusable(file, 'the revocation list is partial, indirect or a delta')
  return {
    pem: block,
    issuer: signer.fingerprint256,
    serials: new Set(crl.entries.map((entry) => normalSerial(entry.serialNumber))),
    thisUpdateMs: crl.thisUpdate.getTime(),
    nextUpdateMs: crl.nextUpdate?.getTime() ?? Number.POSITIVE_INFINITY,
  }
}

/**
 * Reads the revocation lists of one PEM file and verifies the signature of each against the CA's
 * certificates.
 * @throws KmeError CONFIG_INVALID, `FILE: reason`
 */
export const readRevocationLists = async (
  file: string,
  pem: string,
  issuers: readonly X509Certificate[],
): Promise<readonly RevocationList[]> => {
  const blocks = pem.match(PEM_CRL) ?? []
  if (blocks.length === 0) {
    throw unusable(file, 'holds no PEM revocation list ("BEGIN X509 CRL")')
  }
  const lists: RevocationList[] = []
  for (const block of blocks) lists.push(await readBlock(file, block, issuers))
  return lists
}
