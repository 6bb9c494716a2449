import { KmeError, isKmeError, messageOf } from '../errors.ts'

/** What the TLS library says of a failed connection names neither a file nor what to do. */

const OTHER_CA = 'its certificate is not from the CA in --ca'
const REFUSED =
  'it ended the connection without an answer: most likely it does not accept the certificate in --cert (of another CA, revoked or expired)'

const WORDS: ReadonlyMap<string, string> = new Map([
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', OTHER_CA],
  ['UNABLE_TO_GET_ISSUER_CERT', OTHER_CA],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', OTHER_CA],
  ['SELF_SIGNED_CERT_IN_CHAIN', OTHER_CA],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', OTHER_CA],
  ['CERT_SIGNATURE_FAILURE', OTHER_CA],
  ['CERT_HAS_EXPIRED', 'its certificate has expired, or the clock here is wrong'],
  ['CERT_NOT_YET_VALID', 'its certificate is not valid yet, or the clock here is wrong'],
  ['ECONNRESET', REFUSED],
  ['EPIPE', REFUSED],
])

const codeOf = (error: unknown): unknown =>
  typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined

/** The error of a client's call with the TLS library's words put into ours; any other error as it is. */
export const inPlainWords = (error: unknown): unknown => {
  if (!isKmeError(error)) return error
  const { cause } = error
  const words = WORDS.get(String(codeOf(cause)))
  if (words === undefined) return error
  return new KmeError(
    error.code,
    error.message.replace(messageOf(cause), () => words),
    { cause },
  )
}
