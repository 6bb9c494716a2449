import type { RequestListener } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { Config } from '../config/schema.ts'
import type { KmeTrust, Trusted } from './trust.ts'
import type { ListenAddress } from '../http/listen-error.ts'
import type { Listener } from '../http/listener.ts'
import type { ListenerLimits } from '../http/http-limits.ts'
import type { ListenerTls } from '../http/tls-setup.ts'
import type { Observer } from '../ports/observer.ts'
import { connectionOwner } from '../http/identify-from.ts'
import { listenerErrorBody } from '../etsi014/errors.ts'
import { startListener } from '../http/listener.ts'

export interface Handlers {
  readonly sae: RequestListener
  readonly peer: RequestListener
  readonly admin: RequestListener
  readonly probes: RequestListener
}

export interface KmeListeners {
  readonly sae: Listener
  readonly peer: Listener | null
  readonly admin: Listener
  readonly probes: Listener | null
}

interface ListenersParts {
  readonly config: Config
  readonly trust: KmeTrust
  readonly handlers: Handlers
  readonly observer: Observer
  readonly credentialsDirectory: string | undefined
  /** Told of each listener as it opens, so that it is closed should a later step fail. */
  readonly opened: (listener: Listener) => void
}

type TlsListenerConfig =
  | Config['listeners']['sae']
  | NonNullable<Config['listeners']['peer']>
  | Config['listeners']['admin']

const limitsOf = (config: TlsListenerConfig): ListenerLimits => ({
  headersTimeoutMs: config.headersTimeoutMs,
  bodyTimeoutMs: config.bodyTimeoutMs,
  idleTimeoutMs: config.idleTimeoutMs,
  maxConnections: config.maxConnections,
})

const PROBE_LIMITS: ListenerLimits = {
  headersTimeoutMs: 5_000,
  bodyTimeoutMs: 5_000,
  idleTimeoutMs: 15_000,
  maxConnections: 64,
}

const tlsOf = (
  { credentialsDirectory }: ListenersParts,
  config: TlsListenerConfig,
  { trust, resolver }: Trusted,
  minVersion: 'TLSv1.2' | 'TLSv1.3',
): ListenerTls => ({
  certFile: config.certFile,
  keyFile: config.keyFile,
  credentialsDirectory,
  minVersion,
  handshakeTimeoutMs: config.handshakeTimeoutMs,
  trust,
  stillAllowed: (socket: TLSSocket) => {
    const resolution = resolver.resolve(socket)
    return 'identity' in resolution && resolver.stillValid(resolution.identity) === null
  },
})

const startTls = async (
  parts: ListenersParts,
  name: 'sae' | 'peer' | 'admin',
  config: TlsListenerConfig,
  tls: ListenerTls,
): Promise<Listener> => {
  const listener = await startListener({
    name,
    address: { host: config.host, port: config.port },
    handler: parts.handlers[name],
    // The Error object of ETSI GS QKD 014 serves every listener.
    errorBody: listenerErrorBody,
    limits: limitsOf(config),
    observer: parts.observer,
    tls,
  })
  parts.opened(listener)
  return listener
}

const startProbes = async (parts: ListenersParts): Promise<Listener | null> => {
  const { probes } = parts.config.listeners
  if (!probes) return null
  const address: ListenAddress =
    probes.socket === undefined
      ? { host: probes.host, port: probes.port ?? 0 }
      : { socket: probes.socket }
  const listener = await startListener({
    name: 'probes',
    address,
    handler: parts.handlers.probes,
    errorBody: listenerErrorBody,
    limits: PROBE_LIMITS,
    observer: parts.observer,
  })
  parts.opened(listener)
  return listener
}

/** Opens all listeners of the configuration. @throws KmeError LISTEN_FAILED, CONFIG_INVALID */
export const startListeners = async (parts: ListenersParts): Promise<KmeListeners> => {
  const { config, trust } = parts
  const { sae, peer, admin } = config.listeners
  const saeListener = await startTls(parts, 'sae', sae, {
    ...tlsOf(parts, sae, trust.sae, sae.minTlsVersion),
    ownerOf: connectionOwner(trust.sae.resolver),
    maxConnectionsPerOwner: sae.maxConnectionsPerSae,
  })
  const peerListener =
    peer && trust.peer
      ? await startTls(parts, 'peer', peer, tlsOf(parts, peer, trust.peer, 'TLSv1.3'))
      : null
  const adminListener = await startTls(
    parts,
    'admin',
    admin,
    tlsOf(parts, admin, trust.admin, 'TLSv1.3'),
  )
  return {
    sae: saeListener,
    peer: peerListener,
    admin: adminListener,
    probes: await startProbes(parts),
  }
}
