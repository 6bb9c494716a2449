/** Why a certificate gives no identity, or no longer does. Stable: they stand in the audit record. */
export type RefusalCode =
  | 'no-certificate' // none was presented, or the TLS library did not accept it
  | 'unknown-ca' // issued by none of the configured CAs
  | 'ca-certificate' // the certificate of a CA, not of an application
  | 'no-client-auth' // its extended key usage is not for TLS clients
  | 'no-identity' // no rule reads an identity from it
  | 'not-yet-valid'
  | 'expired'
  | 'revoked'
  | 'crl-expired' // the revocation list of its CA is out of date
  | 'crl-missing' // its CA has revocation lists, none of them from its issuer

export interface Refusal {
  readonly code: RefusalCode
  /** One line for the operator; never for the peer. */
  readonly reason: string
}

export const refusal = (code: RefusalCode, reason: string): Refusal => ({ code, reason })
