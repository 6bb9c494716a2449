import { join } from 'node:path'

/** Where the demo keeps what, and on which ports it listens. */

export const LINK_ID = 'a-b'
export const DEVICE_ID = 'sim-1'
export const OPERATOR = 'operator'
export const HOST = '127.0.0.1'

export interface CertificatePaths {
  readonly certFile: string
  readonly keyFile: string
}

/** One KME with its SAE. */
export interface DemoSite extends CertificatePaths {
  readonly kmeId: string
  readonly saeId: string
  readonly folder: string
  readonly configFile: string
  readonly storeFile: string
  readonly kekFile: string
  readonly logFile: string
  readonly sae: CertificatePaths
  readonly saePort: number
  readonly peerPort: number
  readonly adminPort: number
}

export interface DemoLayout {
  readonly dir: string
  readonly portBase: number
  readonly pkiDir: string
  /** Verifies both KMEs. */
  readonly caFile: string
  readonly operator: CertificatePaths
  readonly secretFile: string
  readonly scriptFile: string
  /** Where the two ends of the simulated device meet. */
  readonly devicePort: number
  readonly a: DemoSite
  readonly b: DemoSite
}

const certificate = (folder: string, name: string): CertificatePaths => ({
  certFile: join(folder, `${name}.crt`),
  keyFile: join(folder, `${name}.key`),
})

const siteOf = (dir: string, letter: 'a' | 'b', firstPort: number): DemoSite => {
  const kmeId = `kme-${letter}`
  const saeId = `sae-${letter}`
  const folder = join(dir, kmeId)
  return {
    kmeId,
    saeId,
    folder,
    configFile: join(dir, `${kmeId}.yaml`),
    storeFile: join(folder, 'keyspring.db'),
    kekFile: join(folder, 'kek.key'),
    logFile: join(dir, `${kmeId}.log`),
    ...certificate(folder, kmeId),
    sae: certificate(dir, saeId),
    saePort: firstPort + 3,
    peerPort: firstPort + 4,
    adminPort: firstPort + 5,
  }
}

/** From one base on, KME A has the last digits 3, 4 and 5 and KME B the same, ten further. */
export const demoLayout = (dir: string, portBase: number): DemoLayout => ({
  dir,
  portBase,
  pkiDir: join(dir, 'pki'),
  caFile: join(dir, 'pki', 'kme-ca', 'ca.crt'),
  operator: certificate(dir, OPERATOR),
  secretFile: join(dir, 'simulator.key'),
  scriptFile: join(dir, 'try.sh'),
  devicePort: portBase + 6,
  a: siteOf(dir, 'a', portBase),
  b: siteOf(dir, 'b', portBase + 10),
})

export const sitesOf = ({ a, b }: DemoLayout): readonly [DemoSite, DemoSite] => [a, b]

export const portsOf = (layout: DemoLayout): readonly number[] => [
  ...sitesOf(layout).flatMap(({ saePort, peerPort, adminPort }) => [saePort, peerPort, adminPort]),
  layout.devicePort,
]
