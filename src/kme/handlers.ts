import type { AdminParts } from '../admin/admin-parts.ts'
import type { Config } from '../config/schema.ts'
import type { Handlers } from './listeners.ts'
import type { KeyDelivery } from '../delivery/key-delivery.ts'
import type { KmeTrust } from './trust.ts'
import type { Observer } from '../ports/observer.ts'
import type { PeerLink } from '../links/peer-link.ts'
import type { SaeDirectory } from '../ports/destination.ts'
import { createAdminApp } from '../admin/admin-app.ts'
import { createKeyRoutes } from '../etsi014/routes.ts'
import { createPeerRoutes } from '../peers/routes.ts'
import { createProbesApp } from '../admin/probes-app.ts'
import { identifyKme, identifyOperator, identifySae } from '../http/identify-from.ts'

export interface HandlerParts {
  readonly config: Config
  readonly trust: KmeTrust
  readonly delivery: KeyDelivery
  readonly directory: SaeDirectory
  readonly peerLinks: readonly PeerLink[]
  readonly admin: AdminParts
  readonly observer: Observer
  /** host:port of the SAE listener: what an absolute-form target may name. */
  readonly ownAuthorities: () => readonly string[]
}

/** One app per listener: what each side may ask for, and whom it is taken for. */
export const makeHandlers = (parts: HandlerParts): Handlers => {
  const { config, trust, admin, observer } = parts
  return {
    sae: saeApp(parts),
    peer: peerApp(parts),
    admin: createAdminApp(admin, {
      operatorOf: identifyOperator(trust.admin.resolver),
      observer,
      maxBodyBytes: config.listeners.admin.maxBodyBytes,
    }),
    probes: createProbesApp(admin, observer),
  }
}

const saeApp = ({ config, trust, delivery, directory, observer, ownAuthorities }: HandlerParts) => {
  const cas = new Map(config.saes.map(({ id, ca }) => [id, ca]))
  return createKeyRoutes({
    delivery,
    identify: identifySae({
      resolver: trust.sae.resolver,
      directory,
      caOf: (saeId) => cas.get(saeId) ?? null,
    }),
    ownAuthorities,
    maxBodyBytes: config.listeners.sae.maxBodyBytes,
    observer,
  })
}

const peerApp = ({ config, trust, peerLinks, observer }: HandlerParts) =>
  createPeerRoutes({
    kmeId: config.kme.id,
    identify: trust.peer ? identifyKme(trust.peer.resolver) : () => null,
    linkOf: (linkId, peerKmeId) =>
      peerLinks.find((link) => link.linkId === linkId && link.peerKmeId === peerKmeId) ?? null,
    observer,
  })
