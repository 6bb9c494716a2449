import 'reflect-metadata'
import { type X509Certificate, createHash } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { writeDistinguishedName } from './distinguished-name.ts'

const SAN_OID = '2.5.29.17'
export const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'
export const SERVER_AUTH = '1.3.6.1.5.5.7.3.1'

export interface SubjectAltNames {
  readonly uri: readonly string[]
  readonly dns: readonly string[]
  readonly email: readonly string[]
}

interface Names {
  readonly distinguishedName: string | null
  readonly altNames: SubjectAltNames
}

const NO_NAMES: Names = { distinguishedName: null, altNames: { uri: [], dns: [], email: [] } }

/** A serial number without what writers disagree about: case and leading zeros. */
export const normalSerial = (hex: string): string => hex.toLowerCase().replace(/^0+(?=.)/, '')

const altNamesOf = (certificate: x509.X509Certificate): SubjectAltNames => {
  const extensions = certificate.getExtensions<x509.SubjectAlternativeNameExtension>(SAN_OID)
  // Two of them are against RFC 5280: readers would differ in which one counts.
  const items = extensions.length === 1 ? (extensions[0]?.names.items ?? []) : []
  const ofType = (type: x509.GeneralNameType) =>
    items.filter((item) => item.type === type).map((item) => item.value)
  return { uri: ofType('url'), dns: ofType('dns'), email: ofType('email') }
}

/** From DER: texts made by OpenSSL for people are never split. What cannot be read names nobody. */
const readNames = (raw: Buffer): Names => {
  try {
    const certificate = new x509.X509Certificate(raw)
    return {
      distinguishedName: writeDistinguishedName(certificate.subjectName.toJSON()),
      altNames: altNamesOf(certificate),
    }
  } catch {
    return NO_NAMES
  }
}

const commonNamesOf = (certificate: X509Certificate): readonly string[] => {
  const subject = certificate.toLegacyObject().subject as unknown as Record<string, unknown>
  const value: unknown = subject['CN']
  const values: readonly unknown[] = Array.isArray(value) ? value : [value]
  return values.filter((one) => typeof one === 'string')
}

/** The property is missing where the extension is, whatever its declared type says. */
const extendedKeyUsageOf = (certificate: {
  readonly keyUsage?: readonly string[] | undefined
}): readonly string[] | null => certificate.keyUsage ?? null

/** What the rules may ask about one certificate; nothing here says that it is trusted. */
export class CertificateFacts {
  readonly certificate: X509Certificate
  /** Lower-case hex, no leading zeros. */
  readonly serial: string
  readonly validFromMs: number
  readonly validToMs: number
  readonly isCa: boolean
  /** Object identifiers; null where the certificate has no extended key usage at all. */
  readonly extendedKeyUsage: readonly string[] | null
  #commonNames: readonly string[] | undefined
  #names: Names | undefined
  #spki: string | undefined

  constructor(certificate: X509Certificate) {
    this.certificate = certificate
    this.serial = normalSerial(certificate.serialNumber)
    this.validFromMs = certificate.validFromDate.getTime()
    this.validToMs = certificate.validToDate.getTime()
    this.isCa = certificate.ca
    this.extendedKeyUsage = extendedKeyUsageOf(certificate)
  }

  /** Every common name of the subject, as text; an honest certificate has one. */
  get commonNames(): readonly string[] {
    return (this.#commonNames ??= commonNamesOf(this.certificate))
  }

  /** The subject as `writeDistinguishedName` writes it, or null where that is impossible. */
  get distinguishedName(): string | null {
    return this.#parsed.distinguishedName
  }

  get altNames(): SubjectAltNames {
    return this.#parsed.altNames
  }

  /** SHA-256 over the DER public key (SubjectPublicKeyInfo), lower-case hex. */
  get spkiFingerprint(): string {
    return (this.#spki ??= createHash('sha256')
      .update(this.certificate.publicKey.export({ type: 'spki', format: 'der' }))
      .digest('hex'))
  }

  /** Costs more than the rest together, so only where a rule asks for it. */
  get #parsed(): Names {
    return (this.#names ??= readNames(this.certificate.raw))
  }
}
