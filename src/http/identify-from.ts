import type { TLSSocket } from 'node:tls'
import type { Identity, IdentityResolver } from '../identity/resolver.ts'
import type { KmeId, SaeId } from '../model/ids.ts'
import type { LocalSae, SaeDirectory } from '../ports/destination.ts'

/** Anything that stands on a connection: a request, a response, or `{ socket }`. */
export interface OnSocket {
  readonly socket: object
}

export type SaeCaller =
  | { readonly kind: 'sae'; readonly sae: LocalSae }
  /** One line for the operator, never for the caller. */
  | { readonly kind: 'refused'; readonly reason: string }

export interface SaeIdentification {
  readonly resolver: IdentityResolver
  readonly directory: Pick<SaeDirectory, 'local'>
  /** The CA that the certificate of a registered SAE must come from; null where it is not registered. */
  readonly caOf: (saeId: SaeId) => string | null
}

type Holder = { readonly identity: Identity } | { readonly reason: string }

/** Who holds the connection, if the certificate is good at this moment. O(1) after the first call. */
const holderOf = (resolver: IdentityResolver, { socket }: OnSocket): Holder => {
  const resolution = resolver.resolve(socket)
  if ('refusal' in resolution) return { reason: resolution.refusal.reason }
  const problem = resolver.stillValid(resolution.identity)
  return problem === null ? resolution : { reason: problem.reason }
}

/** The SAE behind a request, registered now and with a certificate that is good now. */
export const identifySae =
  ({ resolver, directory, caOf }: SaeIdentification) =>
  (request: OnSocket): SaeCaller => {
    const holder = holderOf(resolver, request)
    if ('reason' in holder) return { kind: 'refused', reason: holder.reason }
    const { id, ca } = holder.identity
    const sae = directory.local(id)
    const expected = caOf(id)
    if (sae === null || expected === null) {
      return { kind: 'refused', reason: `no SAE is registered as ${JSON.stringify(id)}` }
    }
    if (ca !== expected) {
      const reason = `the SAE ${JSON.stringify(id)} is registered with the CA ${expected}, not ${ca}`
      return { kind: 'refused', reason }
    }
    return { kind: 'sae', sae }
  }

/** What the certificate behind a request names, if it is good now; null otherwise. */
const identifyByName =
  (resolver: IdentityResolver) =>
  (request: OnSocket): string | null => {
    const holder = holderOf(resolver, request)
    return 'identity' in holder ? holder.identity.id : null
  }

/** The peer KME behind a request, or null. The resolver's rules are `byPeers`. */
export const identifyKme: (resolver: IdentityResolver) => (request: OnSocket) => KmeId | null =
  identifyByName

/** The name of the operator behind a request, or null. The resolver's rules are `byOperators`. */
export const identifyOperator: (
  resolver: IdentityResolver,
) => (request: OnSocket) => string | null = identifyByName

/**
 * Whom a connection counts for: every identity that a certificate gives, registered or not. The
 * same name from two CAs is two clients.
 */
export const connectionOwner =
  (resolver: IdentityResolver) =>
  (socket: TLSSocket): string | null => {
    const resolution = resolver.resolve(socket)
    return 'identity' in resolution
      ? `${resolution.identity.id} (CA ${resolution.identity.ca})`
      : null
  }
