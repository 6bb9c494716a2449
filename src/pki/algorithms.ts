import { KeyObject, createPrivateKey, webcrypto } from 'node:crypto'

/** Key algorithms for CAs and certificates. */
export const KEY_ALGORITHMS = ['p256', 'p384', 'rsa3072'] as const

export type KeyAlgorithm = (typeof KEY_ALGORITHMS)[number]

export const DEFAULT_ALGORITHM: KeyAlgorithm = 'p256'

const PARAMETERS = {
  p256: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  p384: { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' },
  rsa3072: {
    name: 'RSASSA-PKCS1-v1_5',
    modulusLength: 3072,
    publicExponent: new Uint8Array([1, 0, 1]),
    hash: 'SHA-256',
  },
} as const

export interface SigningKey {
  readonly key: webcrypto.CryptoKey
  readonly algorithm: (typeof PARAMETERS)[KeyAlgorithm]
}

export const generateKeyPair = (algorithm: KeyAlgorithm): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(PARAMETERS[algorithm], true, ['sign', 'verify'])

export const signingParameters = (algorithm: KeyAlgorithm): SigningKey['algorithm'] =>
  PARAMETERS[algorithm]

/** PKCS#8 PEM, unencrypted, in a buffer that the caller wipes. */
export const exportPrivateKey = (key: webcrypto.CryptoKey): Buffer =>
  Buffer.from(KeyObject.from(key).export({ type: 'pkcs8', format: 'pem' }))

const algorithmOf = (key: KeyObject): KeyAlgorithm => {
  if (key.asymmetricKeyType !== 'ec') return 'rsa3072'
  return key.asymmetricKeyDetails?.namedCurve === 'secp384r1' ? 'p384' : 'p256'
}

/** A private key of one of the algorithms above, ready to sign. */
export const importSigningKey = (pem: Buffer): SigningKey => {
  const key = createPrivateKey(pem)
  const algorithm = PARAMETERS[algorithmOf(key)]
  return { key: key.toCryptoKey(algorithm, false, ['sign']), algorithm }
}
