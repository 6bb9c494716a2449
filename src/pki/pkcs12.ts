import { createHash, createHmac, createPrivateKey, randomBytes } from 'node:crypto'
import forge from 'node-forge'

/**
 * PKCS#12 bundles (RFC 7292). The library's own writer knows RSA keys only, so the structure is put
 * together here from its ASN.1, key encryption and key derivation, for keys of any kind.
 */

export interface Pkcs12Content {
  readonly keyPem: Buffer
  /** DER: the certificate of the key first. */
  readonly chain: readonly Buffer[]
  /** Shown by programs that list bundles. */
  readonly name: string
}

const OID = {
  data: '1.2.840.113549.1.7.1',
  keyBag: '1.2.840.113549.1.12.10.1.2',
  certBag: '1.2.840.113549.1.12.10.1.3',
  x509: '1.2.840.113549.1.9.22.1',
  friendlyName: '1.2.840.113549.1.9.20',
  localKeyId: '1.2.840.113549.1.9.21',
  sha256: '2.16.840.1.101.3.4.2.1',
} as const

/** Ten times OpenSSL's own; the library derives without help of the runtime, so more would take seconds. */
const ITERATIONS = 20_480
const SALT_BYTES = 16
const MAC_KEY_BYTES = 32
/** RFC 7292 appendix B.3: the purpose of a derived key that is for the MAC. */
const MAC_PURPOSE = 3

type Node = forge.asn1.Asn1

const { Class, Type, create } = forge.asn1
const binary = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')
const der = (node: Node): string => forge.asn1.toDer(node).getBytes()

const sequence = (...items: Node[]): Node => create(Class.UNIVERSAL, Type.SEQUENCE, true, items)
const set = (...items: Node[]): Node => create(Class.UNIVERSAL, Type.SET, true, items)
const octets = (bytes: string): Node => create(Class.UNIVERSAL, Type.OCTETSTRING, false, bytes)
const oid = (text: string): Node =>
  create(Class.UNIVERSAL, Type.OID, false, forge.asn1.oidToDer(text).getBytes())
const integer = (value: number): Node =>
  create(Class.UNIVERSAL, Type.INTEGER, false, forge.asn1.integerToDer(value).getBytes())
const explicit = (item: Node): Node => create(Class.CONTEXT_SPECIFIC, Type.NONE, true, [item])

const dataContent = (content: Node): Node => sequence(oid(OID.data), explicit(octets(der(content))))

/** The name and the mark that ties the key to its certificate. */
const attributes = (content: Pkcs12Content, keyId: Buffer): Node =>
  set(
    sequence(
      oid(OID.friendlyName),
      set(create(Class.UNIVERSAL, Type.BMPSTRING, false, content.name)),
    ),
    sequence(oid(OID.localKeyId), set(octets(binary(keyId)))),
  )

const keyBag = (content: Pkcs12Content, password: string, marks: Node): Node => {
  const plain = createPrivateKey(content.keyPem).export({ type: 'pkcs8', format: 'der' })
  const info = forge.asn1.fromDer(binary(plain))
  plain.fill(0)
  const encrypted = forge.pki.encryptPrivateKeyInfo(info, password, {
    algorithm: 'aes256',
    prfAlgorithm: 'sha256',
    count: ITERATIONS,
    saltSize: SALT_BYTES,
  })
  return sequence(oid(OID.keyBag), explicit(encrypted), marks)
}

const certBag = (certificate: Buffer, marks: readonly Node[]): Node =>
  sequence(
    oid(OID.certBag),
    explicit(sequence(oid(OID.x509), explicit(octets(binary(certificate))))),
    ...marks,
  )

const macData = (content: string, password: string): Node => {
  const salt = randomBytes(SALT_BYTES)
  const key = forge.pkcs12.generateKey(
    password,
    forge.util.createBuffer(binary(salt)),
    MAC_PURPOSE,
    ITERATIONS,
    MAC_KEY_BYTES,
    forge.md.sha256.create(),
  )
  const mac = createHmac('sha256', Buffer.from(key.getBytes(), 'latin1'))
    .update(content, 'latin1')
    .digest()
  const algorithm = sequence(oid(OID.sha256), create(Class.UNIVERSAL, Type.NULL, false, ''))
  return sequence(
    sequence(algorithm, octets(binary(mac))),
    octets(binary(salt)),
    integer(ITERATIONS),
  )
}

/** Key (AES-256, PBKDF2 with SHA-256) and certificates, sealed with HMAC-SHA-256. Opened by OpenSSL 1.1 and newer. */
export const encodePkcs12 = (content: Pkcs12Content, password: string): Buffer => {
  const [own, ...others] = content.chain
  if (own === undefined) throw new TypeError('a bundle needs the certificate of its key')
  const keyId = createHash('sha256').update(own).digest()
  const marks = attributes(content, keyId)
  const certificates = [certBag(own, [marks]), ...others.map((other) => certBag(other, []))]
  const authSafe = der(
    sequence(
      dataContent(sequence(...certificates)),
      dataContent(sequence(keyBag(content, password, marks))),
    ),
  )
  const pfx = sequence(
    integer(3),
    sequence(oid(OID.data), explicit(octets(authSafe))),
    macData(authSafe, password),
  )
  return Buffer.from(der(pfx), 'latin1')
}
