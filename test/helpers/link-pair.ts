import type { DeviceSettings, LinkParts, LinkSettings } from '../../src/links/link-parts.ts'
import { systemClock, systemRandom } from '../../src/support/system-clock.ts'
import { MemoryWire } from './memory-wire.ts'
import { PeerLink } from '../../src/links/peer-link.ts'
import { PushDriver } from './push-driver.ts'
import type { QkdDriver } from '../../src/ports/qkd-driver.ts'
import { RecordingObserver } from './recording-observer.ts'
import type { SaeList } from '../../src/ports/delivery-store.ts'
import type { Store } from '../../src/stores/store.ts'
import { eventually } from './eventually.ts'
import { openMemoryStore } from '../../src/stores/memory/memory-store.ts'

export const LINK_ID = 'link-1'
export const DEVICE_ID = 'device-1'

export interface SiteOptions {
  readonly kmeId: string
  readonly peerKmeId: string
  readonly sae: string
  readonly createDriver?: () => QkdDriver
  readonly settings?: Partial<LinkSettings>
  readonly device?: Partial<DeviceSettings>
  readonly openStore?: () => Promise<Store>
}

/** One end of a link, without HTTP: real domain, real store, a wire that can be disturbed. */
export class Site {
  readonly options: SiteOptions
  readonly wire = new MemoryWire()
  readonly observer = new RecordingObserver()
  readonly store: Store
  readonly fatal: unknown[] = []
  driver = new PushDriver()
  saes: SaeList = { version: 0, saes: [] }
  link!: PeerLink

  private constructor(options: SiteOptions, store: Store) {
    this.options = options
    this.store = store
  }

  static async make(options: SiteOptions): Promise<Site> {
    const openStore = options.openStore ?? (async () => openMemoryStore({ random: systemRandom }))
    const site = new Site(options, await openStore())
    await site.open()
    return site
  }

  /** Makes the link anew on the same store, as after a start of the process. */
  async open(): Promise<void> {
    this.saes = await this.store.registerSaes([this.options.sae])
    this.link = await PeerLink.open(this.#parts(), this.wire, () => undefined)
  }

  /** The SAE of this site. */
  get sae() {
    const [sae] = this.saes.saes
    if (!sae) throw new Error('no SAE')
    return sae
  }

  #parts(): LinkParts {
    const startMs = systemClock.monotonicMs()
    return {
      settings: this.#settings(),
      store: this.store,
      clock: systemClock,
      random: systemRandom,
      now: () => ({ runningMs: systemClock.monotonicMs() - startMs + 1, wallMs: 0 }),
      observer: this.observer,
      ownSaes: () => this.saes,
      fatal: (error) => this.fatal.push(error),
    }
  }

  #settings(): LinkSettings {
    const { kmeId, peerKmeId, settings, device } = this.options
    const isLeader = kmeId < peerKmeId
    return {
      linkId: LINK_ID,
      kmeId,
      peerKmeId,
      confirm: 'peer',
      confirmDeadlineMs: 300,
      limits: {
        defaultKeySizeBits: 256,
        minKeySizeBits: 64,
        maxKeySizeBits: 4096,
        maxKeysPerRequest: 128,
        maxKeyCount: 100_000,
        maxAdditionalSlaves: 16,
        keyLifetimeMs: 3_600_000,
        redeliveryWindowMs: 0,
      },
      maxAgeMs: null,
      poolBytes: 3_200_000,
      highWaterFraction: 0.8,
      lowWaterFraction: 0.6,
      devices: [
        {
          deviceId: DEVICE_ID,
          role: isLeader ? 'leader' : 'follower',
          settleMs: 200,
          createDriver: this.options.createDriver ?? (() => (this.driver = new PushDriver())),
          ...device,
        },
      ],
      ...settings,
    }
  }
}

export interface LinkPair extends AsyncDisposable {
  readonly a: Site
  readonly b: Site
}

/** Two ends of one link that talk to each other; `start: false` leaves them resting. */
export const makeLinkPair = async (
  options: {
    readonly a?: Partial<SiteOptions>
    readonly b?: Partial<SiteOptions>
    readonly start?: boolean
  } = {},
): Promise<LinkPair> => {
  const a = await Site.make({ kmeId: 'kme-a', peerKmeId: 'kme-b', sae: 'sae-a', ...options.a })
  const b = await Site.make({ kmeId: 'kme-b', peerKmeId: 'kme-a', sae: 'sae-b', ...options.b })
  a.wire.connect(b.link)
  b.wire.connect(a.link)
  if (options.start !== false) {
    a.link.start()
    b.link.start()
    await agreed(a, b)
  }
  return {
    a,
    b,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([a.link.stop(), b.link.stop()])
      await Promise.all([a.store.close(), b.store.close()])
    },
  }
}

/** Both ends are greeted, their devices are open, and each knows the other's SAE. */
export const agreed = async (a: Site, b: Site): Promise<void> => {
  await eventually(
    () =>
      a.link.waitingFor === '' &&
      b.link.waitingFor === '' &&
      Boolean(a.link.peerSae(b.options.sae)) &&
      Boolean(b.link.peerSae(a.options.sae)),
    'the hello',
  )
}

/** Stops one end and starts it anew on its store. */
export const restart = async (site: Site, other: Site): Promise<void> => {
  await site.link.stop()
  await site.open()
  site.wire.connect(other.link)
  other.wire.connect(site.link)
  site.link.start()
}
