import { join, relative } from 'node:path'
import { stringify } from 'yaml'
import type { Role } from '../pki/roles.ts'
import { DEVICE_ID, type DemoLayout, type DemoSite, HOST, LINK_ID } from './layout.ts'
import type { DemoOptions } from './options.ts'

const HEADER = `# Written by "keyspring demo" at each start: change a copy. What each option means: config/site-a.yaml.
# The keys of this pair come from a simulated device. They are not secret.
`

/** Some blocks a second at most: small ones show the first key soon, large ones cost less at high rates. */
const SMALLEST_BLOCK_BYTES = 512
const LARGEST_BLOCK_BYTES = 1_048_576
const BLOCK_FACTOR = { entry: 1, 'metro-hi': 64 } as const

const blockBytes = ({ preset, speedUp }: DemoOptions): number => {
  const faster = 2 ** Math.max(0, Math.ceil(Math.log2(speedUp)))
  return Math.min(LARGEST_BLOCK_BYTES, SMALLEST_BLOCK_BYTES * BLOCK_FACTOR[preset] * faster)
}

const deviceOf = (layout: DemoLayout, site: DemoSite, options: DemoOptions) => {
  const meeting = { host: HOST, port: layout.devicePort }
  const leads = site === layout.a
  return {
    id: DEVICE_ID,
    role: leads ? 'leader' : 'follower',
    driver: 'simulator',
    options: {
      preset: options.preset,
      lengthKm: options.lengthKm,
      speedUp: options.speedUp,
      blockBytes: blockBytes(options),
      ...(leads ? { listen: meeting } : { connect: meeting }),
      secretFile: relative(layout.dir, layout.secretFile),
    },
  }
}

const caOf = (layout: DemoLayout, role: Role) => {
  const folder = join(relative(layout.dir, layout.pkiDir), `${role}-ca`)
  return {
    name: `${role}-ca`,
    files: [join(folder, 'ca.crt')],
    crlFile: join(folder, 'crl.pem'),
  }
}

/** The YAML of one KME of the demo. Paths are relative, so that the folder can be moved. */
export const kmeConfigText = (layout: DemoLayout, site: DemoSite, options: DemoOptions): string => {
  const other = site === layout.a ? layout.b : layout.a
  const near = (path: string): string => relative(layout.dir, path)
  const own = { certFile: near(site.certFile), keyFile: near(site.keyFile) }
  const listener = (port: number, role: Role) => ({
    host: HOST,
    port,
    ...own,
    cas: [caOf(layout, role)],
  })
  return `${HEADER}${stringify({
    version: 1,
    kme: { id: site.kmeId },
    listeners: {
      sae: listener(site.saePort, 'sae'),
      peer: listener(site.peerPort, 'kme'),
      admin: listener(site.adminPort, 'operator'),
    },
    store: { type: 'sqlite', path: near(site.storeFile), kekFile: near(site.kekFile) },
    identity: { rules: [{ ca: 'sae-ca', from: 'cn' }] },
    saes: [{ id: site.saeId, ca: 'sae-ca' }],
    peers: [{ id: other.kmeId, host: HOST, port: other.peerPort, ca: 'kme-ca' }],
    links: [{ id: LINK_ID, peer: other.kmeId, devices: [deviceOf(layout, site, options)] }],
    allowSimulated: true,
  })}`
}
