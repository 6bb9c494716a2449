import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BareServerSettings } from './bare-server.ts'
import { Certificates, type ClientTls } from './certificates.ts'
import { Child } from './child.ts'
import type { PairSettings, SiteSpec } from './kme-config.ts'
import { HOST, freePorts } from './ports.ts'
import { Site, type SiteGround } from './site.ts'

const BARE_SERVER = fileURLToPath(new URL('./bare-server.ts', import.meta.url))

export interface BareServer {
  readonly port: number
  readonly child: Child
}

/** An SAE that is registered at the first KME, beside the one that all others have. */
export interface CrowdMember {
  readonly saeId: string
  readonly tls: ClientTls
}

/** Two KMEs and a bare server, which run. */
export interface Lab extends AsyncDisposable {
  readonly a: Site
  readonly b: Site
  readonly bare: BareServer
  readonly crowd: readonly CrowdMember[]
}

export interface LabParts {
  /** On a real disk. */
  readonly parent: string
  readonly profileDir: string | null
  /** Ends whatever is under way; aborted by a child that ends by itself. */
  readonly stop: AbortController
}

export interface LabSettings extends PairSettings {
  /** SAEs of the first KME beside its own. */
  readonly crowd: number
}

/**
 * Starts two KMEs and a bare server, each a process, with a folder of their own that is removed in the
 * end. The lanes may still be empty but for the first key.
 */
export const startLab = async (parts: LabParts, settings: LabSettings): Promise<Lab> => {
  await using opened = new AsyncDisposableStack()
  const folder = await mkdtemp(join(parts.parent, 'keyspring-bench-'))
  opened.defer(() => rm(folder, { recursive: true, force: true }))
  const certificates = await Certificates.make(join(folder, 'pki'))
  const operator = await certificates.issueClient('operator', 'operator')
  const ground: SiteGround = { ...parts, folder, certificates, operator }
  const crowd = await gatherCrowd(certificates, settings.crowd)
  const [ownA, ownB, devicePort, barePort] = await plan(certificates, crowd)
  await writeFile(join(folder, 'simulator.key'), randomBytes(32), { mode: 0o600 })
  const bare = startBare(ground, ownA, barePort)
  opened.use(bare.child)
  const site = async (own: SiteSpec, other: SiteSpec, leads: boolean): Promise<Site> => {
    const device = { port: devicePort, leads }
    return opened.use(await Site.start(ground, { certificates, own, other, device, settings }))
  }
  const a = await site(ownA, ownB, true)
  const b = await site(ownB, ownA, false)
  for (const one of [a, b]) await one.untilReady()
  const held = opened.move()
  return { a, b, bare, crowd, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

const gatherCrowd = async (certificates: Certificates, count: number): Promise<CrowdMember[]> => {
  const crowd: CrowdMember[] = []
  for (let i = 0; i < count; i += 1) {
    const saeId = `sae-${String(i)}`
    crowd.push({ saeId, tls: await certificates.issueClient('sae', saeId) })
  }
  return crowd
}

const plan = async (
  certificates: Certificates,
  crowd: readonly CrowdMember[],
): Promise<readonly [SiteSpec, SiteSpec, number, number]> => {
  const ports = await freePorts(8)
  const [sae1 = 0, peer1 = 0, admin1 = 0, sae2 = 0, peer2 = 0, admin2 = 0] = ports
  const spec = async (letter: string, listens: SiteSpec['ports']): Promise<SiteSpec> => ({
    kmeId: `kme-${letter}`,
    saeId: `sae-${letter}`,
    crowd: letter === 'a' ? crowd.map(({ saeId }) => saeId) : [],
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

const startBare = (ground: SiteGround, { certificate }: SiteSpec, port: number): BareServer => {
  const { certificates, folder, stop } = ground
  const settings: BareServerSettings = {
    host: HOST,
    port,
    ...certificate,
    caFile: certificates.caFile('sae'),
    crlFile: certificates.crlFile('sae'),
  }
  const child = new Child({
    name: 'the bare server',
    script: BARE_SERVER,
    args: [JSON.stringify(settings)],
    logFile: join(folder, 'bare.log'),
  })
  child.endsBenchmark(stop)
  return { port, child }
}
