import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { AdminClient, type LinkView } from '../src/admin/client.ts'
import { Etsi014Client } from '../src/etsi014/client.ts'
import type { BareServerSettings } from './bare-server.ts'
import { Certificates, type ClientTls } from './certificates.ts'
import { Child } from './child.ts'
import { type ConfigParts, LINK_ID, type SiteSpec, configText } from './kme-config.ts'
import { HOST, freePorts } from './ports.ts'

const KEYSPRING = fileURLToPath(new URL('../bin/keyspring.js', import.meta.url))
const BARE_SERVER = fileURLToPath(new URL('./bare-server.ts', import.meta.url))
const POLL_MS = 100

/** One KME that runs, and who talks to it. */
export interface Site {
  readonly kmeId: string
  readonly saeId: string
  readonly saePort: number
  readonly child: Child
  readonly admin: AdminClient
  readonly tls: ClientTls
  /** Draws keys beforehand. */
  readonly client: Etsi014Client
}

export interface BareServer {
  readonly port: number
  readonly child: Child
}

export interface Lab extends AsyncDisposable {
  readonly a: Site
  readonly b: Site
  readonly bare: BareServer
}

export interface LabParts {
  /** On a real disk. */
  readonly parent: string
  readonly profileDir: string | null
  /** Ends whatever is under way; aborted by a child that ends by itself. */
  readonly stop: AbortController
}

/** What is made once, whichever process it is for. */
interface Ground {
  readonly parts: LabParts
  readonly opened: AsyncDisposableStack
  readonly folder: string
  readonly certificates: Certificates
  readonly operator: ClientTls
}

/** Two KMEs and a bare server, each a process, with a folder of their own that is removed in the end. */
export const startLab = async (parts: LabParts): Promise<Lab> => {
  await using opened = new AsyncDisposableStack()
  const folder = await mkdtemp(join(parts.parent, 'keyspring-bench-'))
  opened.defer(() => rm(folder, { recursive: true, force: true }))
  const certificates = await Certificates.make(join(folder, 'pki'))
  const operator = await certificates.issueClient('operator', 'operator')
  const ground = { parts, opened, folder, certificates, operator }
  const [specA, specB, devicePort, barePort] = await plan(certificates)
  await writeFile(join(folder, 'simulator.key'), randomBytes(32), { mode: 0o600 })
  const bare = startBare(ground, specA, barePort)
  const device = { port: devicePort }
  const configA = { certificates, own: specA, other: specB, device: { ...device, leads: true } }
  const configB = { certificates, own: specB, other: specA, device: { ...device, leads: false } }
  const a = await startSite(ground, configA)
  const b = await startSite(ground, configB)
  for (const site of [a, b]) await untilReady(site, parts.stop.signal)
  const held = opened.move()
  return { a, b, bare, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

const plan = async (
  certificates: Certificates,
): Promise<readonly [SiteSpec, SiteSpec, number, number]> => {
  const ports = await freePorts(8)
  const [sae1 = 0, peer1 = 0, admin1 = 0, sae2 = 0, peer2 = 0, admin2 = 0] = ports
  const spec = async (letter: string, listens: SiteSpec['ports']): Promise<SiteSpec> => ({
    kmeId: `kme-${letter}`,
    saeId: `sae-${letter}`,
    ports: listens,
    certificate: await certificates.issue('kme', `kme-${letter}`),
  })
  return [
    await spec('a', { sae: sae1, peer: peer1, admin: admin1 }),
    await spec('b', { sae: sae2, peer: peer2, admin: admin2 }),
    ports[6] ?? 0,
    ports[7] ?? 0,
  ]
}

/** A child that ends by itself ends the benchmark. */
const keep = ({ parts, opened }: Ground, child: Child): Child => {
  let ours = false
  opened.use(child)
  opened.defer(() => {
    ours = true
  })
  void child.ended.then(async () => {
    if (!ours) parts.stop.abort(await child.failure())
  })
  return child
}

const startBare = (ground: Ground, spec: SiteSpec, port: number): BareServer => {
  const { certificates, folder } = ground
  const settings: BareServerSettings = {
    host: HOST,
    port,
    ...spec.certificate,
    caFile: certificates.caFile('sae'),
    crlFile: certificates.crlFile('sae'),
  }
  const child = new Child({
    name: 'the bare server',
    script: BARE_SERVER,
    args: [JSON.stringify(settings)],
    logFile: join(folder, 'bare.log'),
  })
  return { port, child: keep(ground, child) }
}

const startSite = async (ground: Ground, config: ConfigParts): Promise<Site> => {
  const { parts, opened, folder, certificates, operator } = ground
  const { kmeId, saeId, ports } = config.own
  const configFile = join(folder, `${kmeId}.yaml`)
  const logFile = join(folder, `${kmeId}.log`)
  await mkdir(join(folder, kmeId), { mode: 0o700 })
  await writeFile(configFile, configText(config), { mode: 0o600 })
  const command = (name: string, args: readonly string[], execArgv: readonly string[]): Child =>
    new Child({ name, script: KEYSPRING, args, execArgv, logFile })
  {
    await using init = command('store init', ['store', 'init', '-c', configFile], [])
    await init.succeed()
  }
  const { profileDir } = parts
  const profile =
    profileDir === null
      ? []
      : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`, `--cpu-prof-name=${kmeId}.cpuprofile`]
  const child = keep(ground, command(kmeId, ['serve', '-c', configFile], profile))
  const tls = await certificates.issueClient('sae', saeId)
  const client = new Etsi014Client({ url: `https://${HOST}:${String(ports.sae)}`, ...tls })
  opened.use(client)
  const admin = new AdminClient({ url: `https://${HOST}:${String(ports.admin)}`, ...operator })
  return { kmeId, saeId, saePort: ports.sae, child, admin, tls, client }
}

const untilReady = async ({ admin }: Site, signal: AbortSignal): Promise<void> => {
  const ready = (): Promise<boolean> =>
    admin.ready().then(
      (answer) => answer.ready,
      () => false,
    )
  while (!(await ready())) await sleep(POLL_MS, undefined, { signal })
}

export const linkOf = async ({ admin }: Site): Promise<LinkView> => (await admin.link(LINK_ID)).link

/** Waits until `enough` says so of the site's link. */
export const untilLink = async (
  site: Site,
  enough: (link: LinkView) => boolean,
  signal: AbortSignal,
): Promise<void> => {
  while (!enough(await linkOf(site))) await sleep(POLL_MS, undefined, { signal })
}
