import { constants } from 'node:crypto'
import { type SecureContextOptions, createSecureContext } from 'node:tls'

/** What every TLS listener speaks, whoever its clients are. */

export type TlsVersion = 'TLSv1.2' | 'TLSv1.3'

/** Forward secrecy and authenticated encryption only; at least 112 bits of security in every certificate. */
const CIPHERS = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_GCM_SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  '@SECLEVEL=2',
].join(':')

const POST_QUANTUM_GROUP = 'X25519MLKEM768'
const CLASSICAL_GROUPS = 'X25519:P-256:P-384'

const supportsGroups = (ecdhCurve: string): boolean => {
  try {
    createSecureContext({ ecdhCurve })
    return true
  } catch {
    return false
  }
}

/** Key exchange: the hybrid post-quantum group first where the runtime's OpenSSL has it; classical ones stay for old clients. */
export const keyExchangeGroups = (supports = supportsGroups): string => {
  const preferred = `${POST_QUANTUM_GROUP}:${CLASSICAL_GROUPS}`
  return supports(preferred) ? preferred : CLASSICAL_GROUPS
}

export const tlsProfile = (minVersion: TlsVersion): SecureContextOptions => ({
  minVersion,
  maxVersion: 'TLSv1.3',
  ciphers: CIPHERS,
  ecdhCurve: keyExchangeGroups(),
  honorCipherOrder: true,
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_COMPRESSION,
})
