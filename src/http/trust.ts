/**
 * Whom a TLS listener trusts, as far as the TLS library needs to know. `TrustStore` of identity/ is
 * one; what a certificate means is not known here.
 */
export interface ListenerTrust {
  /** CA certificates in PEM; never empty, or the TLS library would trust the whole web. */
  caPem(): readonly string[] | string
  /** Revocation lists in PEM. */
  crlPem(): readonly string[] | string
  /** Reads changed files again. Resolves with whether anything changed. */
  refresh(): Promise<boolean>
}

const listOf = (pem: readonly string[] | string): string[] =>
  (typeof pem === 'string' ? [pem] : [...pem]).filter((text) => text.trim() !== '')

/** The part of a secure context that says who is let in. */
export const trustContext = (trust: ListenerTrust): { ca: string[]; crl?: string[] } => {
  const ca = listOf(trust.caPem())
  if (ca.length === 0) throw new TypeError('a TLS listener needs at least one CA')
  const crl = listOf(trust.crlPem())
  return crl.length === 0 ? { ca } : { ca, crl }
}
