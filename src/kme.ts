import type { AdminParts, KmeView } from './admin/admin-parts.ts'
import type { Clock, Random } from './ports/clock.ts'
import { systemClock, systemRandom } from './support/system-clock.ts'
import type { Config } from './config/schema.ts'
import { DeliveryExpiry } from './delivery/expiry.ts'
import { Directory } from './links/sae-directory.ts'
import type { DriverMaker } from './kme/link-settings.ts'
import { EpochSweep } from './kme/epoch-sweep.ts'
import { Failure } from './kme/failure.ts'
import type { KekRotationParts } from './kme/kek-rotation.ts'
import { KeyDelivery } from './delivery/key-delivery.ts'
import type { KmeError } from './errors.ts'
import type { KmeListeners } from './kme/listeners.ts'
import type { KmeObserver } from './log.ts'
import type { KmeTrust, PeerTrust } from './kme/trust.ts'
import type { Link } from './links/link.ts'
import type { ListenAddress } from './http/listen-error.ts'
import { Loop } from './support/loop.ts'
import type { Moment } from './model/moment.ts'
import type { PeerLink } from './links/peer-link.ts'
import { RunningClock } from './support/running-clock.ts'
import type { SaeList } from './ports/delivery-store.ts'
import type { Store } from './stores/store.ts'
import { StoreMark } from './kme/store-mark.ts'
import type { StoreMarkParts } from './kme/store-mark.ts'
import { adminParts } from './kme/views.ts'
import { createDriver } from './drivers/registry.ts'
import { describeKme } from './kme/describe.ts'
import { formatAddress } from './http/listen-error.ts'
import { makeHandlers } from './kme/handlers.ts'
import { messageOf } from './errors.ts'
import { openLinks } from './kme/link-opening.ts'
import { openStore } from './kme/open-store.ts'
import { openTrust } from './kme/trust.ts'
import { rotateKek } from './kme/kek-rotation.ts'
import { startListeners } from './kme/listeners.ts'

const LOOK_AT_CERTIFICATE_MS = 5_000
const DRAIN_MS = 5_000

/** What whoever runs a KME gives it, besides the configuration; tests put their own clock and drivers. */
export interface KmeParts {
  readonly observer: KmeObserver
  readonly version: string
  /** A known weakness of the runtime, in one line. */
  readonly runtimeWarning: string | null
  /** Where systemd keeps credentials: their files may be readable by a group. */
  readonly credentialsDirectory?: string | undefined
  readonly clock?: Clock
  readonly random?: Random
  readonly createDriver?: DriverMaker
}

export interface RunningKme extends AsyncDisposable {
  /** Where the listeners really listen: with the ports that the system chose. */
  readonly addresses: {
    readonly sae: ListenAddress
    readonly peer: ListenAddress | null
    readonly admin: ListenAddress
    readonly probes: ListenAddress | null
  }
  /** What listens and what is still missing, in words, a line each. */
  describe(): readonly string[]
  /** Lets requests under way finish for up to `drainMs`, then closes everything. Idempotent. */
  stop(drainMs: number): Promise<void>
  /** Resolves when the KME cannot go on and has to be stopped: the reason. */
  readonly failed: Promise<KmeError>
  readonly admin: AdminParts
}

/**
 * The composition root: builds a KME from its configuration and starts it. What was opened is
 * closed again should a later step fail.
 * @throws KmeError CONFIG_INVALID, STORE_..., SEALING_FAILED, LISTEN_FAILED
 */
export const startKme = async (config: Config, parts: KmeParts): Promise<RunningKme> => {
  await using opened = new AsyncDisposableStack()
  const core = await openCore(config, parts, opened)
  const admin = adminParts({
    ...core,
    observer: parts.observer,
    kme: kmeView(config, parts),
    rotateKek: (kekId) => rotateKek(rotationParts(core, parts), kekId),
  })
  const listeners = await openFront(core, parts, admin, opened)
  startWork(core, parts, opened)
  return runningKme({ core, listeners, admin, opened: opened.move() })
}

/** What serves SAEs and peers, whoever asks. */
interface Core {
  readonly config: Config
  readonly trust: KmeTrust
  readonly store: Store
  readonly now: () => Moment
  readonly links: readonly Link[]
  readonly peerLinks: readonly PeerLink[]
  readonly directory: Directory
  readonly failure: Failure
  readonly storeFault: () => string | null
}

const openCore = async (
  config: Config,
  parts: KmeParts,
  opened: AsyncDisposableStack,
): Promise<Core> => {
  const { observer, clock = systemClock, random = systemRandom, credentialsDirectory } = parts
  const failure = new Failure()
  const trust = await openTrust(config, { clock, observer, credentialsDirectory })
  const store = await openStore(config.store, { random, credentialsDirectory, opened })
  const runningClock = opened.use(await RunningClock.open({ clock, store, observer }))
  await markStore(config, { store, clock, now: runningClock.now, observer }, opened)
  const saes = await store.registerSaes(config.saes.map(({ id }) => id))
  const { now } = runningClock
  await store.restartRedelivery(now())
  // Links tell the directory of their peers' SAEs, and the directory is made of links.
  const directoryOf: { made?: Directory } = {}
  const { links, peerLinks } = await openLinks({
    config,
    parts: {
      store,
      clock,
      random,
      now,
      observer,
      ownSaes: () => saes,
      fatal: (error) => {
        failure.fail(error)
      },
    },
    peerTrust: trust.peer,
    createDriver: parts.createDriver ?? createDriver,
    saesChanged: (link) => directoryOf.made?.listChanged(link),
  })
  const directory = new Directory({
    saes: localSaes(config, saes),
    links,
    kmeId: config.kme.id,
    observer,
  })
  directoryOf.made = directory
  const storeFault = () => failure.reason
  return { config, trust, store, now, links, peerLinks, directory, failure, storeFault }
}

const rotationParts = (
  { config, store }: Core,
  { random = systemRandom, credentialsDirectory }: KmeParts,
): KekRotationParts => ({ config: config.store, store, random, credentialsDirectory })

const markStore = async (
  { store: options }: Config,
  parts: Omit<StoreMarkParts, 'storePath'>,
  opened: AsyncDisposableStack,
): Promise<void> => {
  if (options.type === 'memory') return
  opened.use(await StoreMark.open({ ...parts, storePath: options.path }))
}

const localSaes = (config: Config, { saes }: SaeList) => {
  const loopback = new Map(config.saes.map((sae) => [sae.id, sae.loopback]))
  return saes.map((sae) => ({ ...sae, loopback: loopback.get(sae.saeId) ?? false }))
}

const kmeView = (config: Config, parts: KmeParts): (() => KmeView) => {
  const { clock = systemClock } = parts
  const startedAt = new Date(clock.wallMs()).toISOString()
  const startedMs = clock.monotonicMs()
  return () => ({
    kmeId: config.kme.id,
    version: parts.version,
    startedAt,
    uptimeS: Math.floor((clock.monotonicMs() - startedMs) / 1000),
    runtime: { node: process.version, warning: parts.runtimeWarning },
    registeredSaes: config.saes.length,
    allowSimulated: config.allowSimulated,
  })
}

const openFront = async (
  core: Core,
  { observer, credentialsDirectory }: KmeParts,
  admin: AdminParts,
  opened: AsyncDisposableStack,
): Promise<KmeListeners> => {
  const { config, trust, directory, store, now } = core
  const delivery = new KeyDelivery({ kmeId: config.kme.id, directory, store, now, observer })
  const own: { authorities: readonly string[] } = { authorities: [] }
  const handlers = makeHandlers({
    ...core,
    delivery,
    admin,
    observer,
    ownAuthorities: () => own.authorities,
  })
  const listeners = await startListeners({
    config,
    trust,
    handlers,
    observer,
    credentialsDirectory,
    opened: (listener) => opened.use(listener),
  })
  own.authorities = authoritiesOf(listeners.sae.address, config)
  return listeners
}

/** How a client may name the SAE listener in an absolute-form target. */
const authoritiesOf = (address: ListenAddress, config: Config): readonly string[] => {
  if ('socket' in address) return []
  const hosts = [address.host, config.listeners.sae.host, 'localhost', '127.0.0.1', '::1']
  return [...new Set(hosts)].map((host) => formatAddress({ host, port: address.port }))
}

/** Starts what goes on by itself: links, expiry, and looking at our own certificate. */
const startWork = (core: Core, parts: KmeParts, opened: AsyncDisposableStack): void => {
  const { links, store, now, trust, failure } = core
  const { observer, clock = systemClock } = parts
  const expiry = opened.use(new DeliveryExpiry({ store, clock, now, observer }))
  expiry.start()
  const sweep = opened.use(new EpochSweep({ store, clock, observer }))
  sweep.start()
  if (trust.peer) watchCertificate(trust.peer, { observer, clock }, opened)
  for (const link of links) {
    opened.defer(() => link.stop())
    link.start()
  }
  void store.failed.then((error) => {
    observer.alarm({ name: 'store-failed', severity: 'major', message: error.message })
    failure.fail(error)
  })
}

const watchCertificate = (
  { refreshOwn }: PeerTrust,
  { observer, clock }: { readonly observer: KmeObserver; readonly clock: Clock },
  opened: AsyncDisposableStack,
): void => {
  const loop = new Loop({
    clock,
    pass: async () => {
      await refreshOwn()
      return LOOK_AT_CERTIFICATE_MS
    },
    failed: (error) => {
      const message = `the certificate for calls to peers is not renewed: ${messageOf(error)}`
      observer.event({ level: 'error', name: 'peer.certificate.unusable', message })
      return LOOK_AT_CERTIFICATE_MS
    },
  })
  opened.defer(() => loop.stop())
  loop.start()
}

interface RunningParts {
  readonly core: Core
  readonly listeners: KmeListeners
  readonly admin: AdminParts
  readonly opened: AsyncDisposableStack
}

const runningKme = ({ core, listeners, admin, opened }: RunningParts): RunningKme => {
  let stopping: Promise<void> | null = null
  const stop = async (drainMs: number): Promise<void> => {
    // SAEs first: while their last calls finish, the links still confirm.
    await listeners.sae.close({ drainMs })
    await opened.disposeAsync()
  }
  const stopOnce = (drainMs: number): Promise<void> => (stopping ??= stop(drainMs))
  return {
    addresses: {
      sae: listeners.sae.address,
      peer: listeners.peer?.address ?? null,
      admin: listeners.admin.address,
      probes: listeners.probes?.address ?? null,
    },
    describe: () => describeKme(core.config, core.links, listeners),
    stop: stopOnce,
    failed: core.failure.promise,
    admin,
    [Symbol.asyncDispose]: () => stopOnce(DRAIN_MS),
  }
}
