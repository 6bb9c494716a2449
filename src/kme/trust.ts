import type { SecureContextOptions } from 'node:tls'
import type { X509Certificate } from 'node:crypto'
import { byOperators, byPeers, byRules } from '../identity/identify.ts'
import type { CaConfig, Config } from '../config/schema.ts'
import type { Clock } from '../ports/clock.ts'
import { IdentityResolver } from '../identity/resolver.ts'
import type { KmeId } from '../model/ids.ts'
import type { Observer } from '../ports/observer.ts'
import { OwnCertificateSource } from '../http/own-certificate.ts'
import { TrustStore } from '../identity/trust-store.ts'

/** What a peer KME's certificate is checked for when this KME calls it. */
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1'

export interface Trusted {
  readonly trust: TrustStore
  readonly resolver: IdentityResolver
}

export interface PeerTrust extends Trusted {
  /** For calls to peers: our certificate and whom we trust, as the files are now. */
  readonly clientTls: () => SecureContextOptions
  /** The peer that a server's certificate names, good at this moment; null for none. */
  readonly serverOf: (certificate: X509Certificate) => KmeId | null
  /** Reads our certificate again where its files changed. */
  readonly refreshOwn: () => Promise<boolean>
}

export interface KmeTrust {
  readonly sae: Trusted
  readonly peer: PeerTrust | null
  readonly admin: Trusted
}

interface TrustParts {
  readonly clock: Clock
  readonly observer: Observer
  readonly credentialsDirectory: string | undefined
}

const loadTrust = (cas: readonly CaConfig[], { clock, observer }: TrustParts) =>
  TrustStore.load({ cas, clock, observer })

const peerTrust = async (config: Config, parts: TrustParts): Promise<PeerTrust | null> => {
  const listener = config.listeners.peer
  if (!listener) return null
  const trust = await loadTrust(listener.cas, parts)
  const { clock } = parts
  const resolver = new IdentityResolver({ trust, identify: byPeers(config.peers), clock })
  const asServer = new IdentityResolver({
    trust,
    identify: byPeers(config.peers, SERVER_AUTH),
    clock,
  })
  const own = await OwnCertificateSource.open({
    certFile: listener.certFile,
    keyFile: listener.keyFile,
    credentialsDirectory: parts.credentialsDirectory,
  })
  return {
    trust,
    resolver,
    clientTls: () => {
      const crl = trust.crlPem()
      return { ...own.current, ca: trust.caPem(), ...(crl.length > 0 ? { crl } : {}) }
    },
    serverOf: (certificate) => {
      const resolution = asServer.examine(certificate)
      return 'identity' in resolution ? resolution.identity.id : null
    },
    refreshOwn: () => own.refresh(),
  }
}

/** Reads the CAs and revocation lists of all listeners. @throws KmeError CONFIG_INVALID */
export const openTrust = async (config: Config, parts: TrustParts): Promise<KmeTrust> => {
  const { clock } = parts
  const sae = await loadTrust(config.listeners.sae.cas, parts)
  const admin = await loadTrust(config.listeners.admin.cas, parts)
  const operators = byOperators(config.listeners.admin.cas.map(({ name }) => name))
  return {
    sae: {
      trust: sae,
      resolver: new IdentityResolver({
        trust: sae,
        identify: byRules(config.identity.rules),
        clock,
      }),
    },
    peer: await peerTrust(config, parts),
    admin: {
      trust: admin,
      resolver: new IdentityResolver({ trust: admin, identify: operators, clock }),
    },
  }
}
