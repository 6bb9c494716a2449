import { KmeLab, HOST, freePorts } from './kme-lab.ts'
import { KmeSite, type SaeEntry, type SitePorts, type SiteSpec } from './kme-site.ts'

export const LINK_ID = 'a-b'
export const DEVICE_ID = 'sim-1'

const ATTEMPTS = 5

type Options = Readonly<Record<string, unknown>>

export interface KmePairOptions {
  readonly saesA?: readonly (string | SaeEntry)[]
  readonly saesB?: readonly (string | SaeEntry)[]
  /** Options of the link, at both ends. */
  readonly link?: Options
  /** Options of the device, beside its driver's. */
  readonly device?: Options
  /** Options of the simulated device, at both ends. */
  readonly simulator?: Options
  /** Last word on what a KME is. */
  readonly adapt?: (spec: SiteSpec) => SiteSpec
  /** Default: both are waited for until they can deliver keys. */
  readonly waitForKeys?: boolean
}

/** Two KMEs, each in a process of its own, with a simulated device between them. */
export class KmePair {
  readonly lab: KmeLab
  readonly a: KmeSite
  readonly b: KmeSite

  constructor(lab: KmeLab, a: KmeSite, b: KmeSite) {
    this.lab = lab
    this.a = a
    this.b = b
  }

  get sites(): readonly [KmeSite, KmeSite] {
    return [this.a, this.b]
  }

  /** Ends both in order, removes everything, and throws if either wrote what a KME should not write. */
  async stop(): Promise<void> {
    await stopSites(this.lab, this.sites)
  }
}

/** @throws Error where a process is left, ended badly, or wrote what a KME should not write */
export const stopSites = async (lab: KmeLab, sites: readonly KmeSite[]): Promise<void> => {
  const ends = await Promise.allSettled(sites.map((site) => site.stop()))
  await lab.remove()
  const failed = ends.flatMap((end) => (end.status === 'rejected' ? [String(end.reason)] : []))
  const left = sites
    .filter((site) => site.process?.isRunning)
    .map(({ kmeId }) => `${kmeId} is left`)
  const problems = [...failed, ...left, ...sites.flatMap((site) => site.complaints())]
  if (problems.length > 0) throw new Error(`the KMEs did not behave:\n${problems.join('\n')}`)
}

const saesOf = (saes: readonly (string | SaeEntry)[]): readonly SaeEntry[] =>
  saes.map((sae) => (typeof sae === 'string' ? { id: sae } : sae))

interface End {
  readonly kmeId: string
  readonly saes: readonly SaeEntry[]
  readonly other: { readonly kmeId: string; readonly peerPort: number }
  readonly role: 'leader' | 'follower'
  readonly channel: Options
}

const specOf = (end: End, options: KmePairOptions): SiteSpec => {
  const { kmeId, saes, other, role, channel } = end
  const device = {
    id: DEVICE_ID,
    role,
    driver: 'simulator',
    options: { secretFile: 'simulator.key', ...channel, ...options.simulator },
    ...options.device,
  }
  const spec: SiteSpec = {
    kmeId,
    saes,
    peers: [{ id: other.kmeId, host: HOST, port: other.peerPort, ca: 'kme-ca' }],
    links: [{ id: LINK_ID, peer: other.kmeId, devices: [device], ...options.link }],
  }
  return options.adapt?.(spec) ?? spec
}

/** Configurations, certificates and stores of a pair; nothing runs yet. */
export const makePair = async (lab: KmeLab, options: KmePairOptions): Promise<KmePair> => {
  const ports = await freePorts(7)
  const [saeA = 0, peerA = 0, adminA = 0, saeB = 0, peerB = 0, adminB = 0, port = 0] = ports
  const meeting = { host: HOST, port }
  const a = { kmeId: 'kme-a', saes: saesOf(options.saesA ?? ['sae-a']), peerPort: peerA }
  const b = { kmeId: 'kme-b', saes: saesOf(options.saesB ?? ['sae-b']), peerPort: peerB }
  const specA = specOf({ ...a, other: b, role: 'leader', channel: { listen: meeting } }, options)
  const specB = specOf({ ...b, other: a, role: 'follower', channel: { connect: meeting } }, options)
  const siteOf = (spec: SiteSpec, sitePorts: SitePorts) => KmeSite.make(lab, spec, sitePorts)
  return new KmePair(
    lab,
    await siteOf(specA, { sae: saeA, peer: peerA, admin: adminA }),
    await siteOf(specB, { sae: saeB, peer: peerB, admin: adminB }),
  )
}

/** Somebody took a port between the look at it and its use: worth another try with others. */
export const isPortTaken = (error: unknown): boolean =>
  error instanceof Error && error.message.includes('the port is taken')

/** Starts the sites; where one of their ports was taken meanwhile, makes them anew with others. */
export const startSites = async <Made>(
  make: () => Promise<Made>,
  sitesOf: (made: Made) => readonly KmeSite[],
): Promise<Made> => {
  for (let attempt = 1; ; attempt += 1) {
    const made = await make()
    const starts = await Promise.allSettled(sitesOf(made).map((site) => site.start()))
    const failure = starts.find((start) => start.status === 'rejected')
    if (!failure) return made
    await Promise.all(sitesOf(made).map((site) => site.stop()))
    if (!isPortTaken(failure.reason) || attempt === ATTEMPTS) throw failure.reason
  }
}

export const startKmePair = async (options: KmePairOptions = {}): Promise<KmePair> => {
  const lab = await KmeLab.make()
  try {
    const pair = await startSites(
      () => makePair(lab, options),
      ({ sites }) => sites,
    )
    try {
      if (options.waitForKeys !== false) {
        await Promise.all(pair.sites.map((site) => site.ready()))
      }
      return pair
    } catch (error) {
      await Promise.all(pair.sites.map((site) => site.end('SIGKILL')))
      throw withLogs(error, pair.sites)
    }
  } catch (error) {
    await lab.remove()
    throw error
  }
}

const withLogs = (error: unknown, sites: readonly KmeSite[]): Error => {
  const logs = sites.map(({ kmeId, process }) => `--- ${kmeId}\n${process?.tail() ?? ''}`)
  const message = error instanceof Error ? error.message : String(error)
  return new Error([message, ...logs].join('\n'), { cause: error })
}

/** One test's own pair: ended whatever becomes of `work`, whose failure counts first. */
export const withKmePair = async (
  options: KmePairOptions,
  work: (pair: KmePair) => Promise<void>,
): Promise<void> => {
  const pair = await startKmePair(options)
  try {
    await work(pair)
  } catch (error) {
    const failure = withLogs(error, pair.sites)
    await pair.stop().catch(() => undefined)
    throw failure
  }
  await pair.stop()
}
