import { stringify } from 'yaml'
import type { Role } from '../src/pki/roles.ts'
import type { CertificateFiles, Certificates } from './certificates.ts'
import { HOST } from './ports.ts'

export const LINK_ID = 'bench'

/** What one pair of KMEs has that another has not. */
export interface PairSettings {
  /** Both lanes together, and when the devices pause and go on. */
  readonly poolKeys: number
  readonly highWaterPercent: number
  readonly lowWaterPercent: number
  readonly blockBytes: number
  readonly keyLifetimeS: number
}

/** One of the two KMEs: names, ports and files. */
export interface SiteSpec {
  readonly kmeId: string
  readonly saeId: string
  /** More SAEs that are registered here. */
  readonly crowd: readonly string[]
  readonly ports: { readonly sae: number; readonly peer: number; readonly admin: number }
  readonly certificate: CertificateFiles
}

export interface ConfigParts {
  readonly certificates: Certificates
  readonly own: SiteSpec
  readonly other: SiteSpec
  /** Where the two ends of the simulated device meet, and whether this one listens. */
  readonly device: { readonly port: number; readonly leads: boolean }
  readonly settings: PairSettings
}

/** Much more than is drawn. */
const KEY_RATE_BPS = 400_000_000

const listener = ({ certificates, own }: ConfigParts, port: number, role: Role) => ({
  host: HOST,
  port,
  ...own.certificate,
  cas: [
    {
      name: `${role}-ca`,
      files: [certificates.caFile(role)],
      crlFile: certificates.crlFile(role),
    },
  ],
})

const deviceOf = ({ device, settings }: ConfigParts) => {
  const meeting = { host: HOST, port: device.port }
  return {
    id: 'sim',
    role: device.leads ? 'leader' : 'follower',
    driver: 'simulator',
    options: {
      secretKeyRateBps: KEY_RATE_BPS,
      blockBytes: settings.blockBytes,
      ...(device.leads ? { listen: meeting } : { connect: meeting }),
      secretFile: 'simulator.key',
    },
  }
}

/** The configuration of one KME; all that is not said here is as it comes. */
export const configText = (parts: ConfigParts): string => {
  const { own, other, settings } = parts
  const { poolKeys, highWaterPercent, lowWaterPercent, keyLifetimeS } = settings
  return stringify({
    version: 1,
    kme: { id: own.kmeId },
    listeners: {
      sae: listener(parts, own.ports.sae, 'sae'),
      peer: listener(parts, own.ports.peer, 'kme'),
      admin: listener(parts, own.ports.admin, 'operator'),
    },
    store: {
      type: 'sqlite',
      path: `${own.kmeId}/keyspring.db`,
      kekFile: `${own.kmeId}/kek.key`,
    },
    identity: { rules: [{ ca: 'sae-ca', from: 'cn' }] },
    saes: [own.saeId, ...own.crowd].map((id) => ({ id, ca: 'sae-ca' })),
    peers: [{ id: other.kmeId, host: HOST, port: other.ports.peer, ca: 'kme-ca' }],
    links: [
      {
        id: LINK_ID,
        peer: other.kmeId,
        confirm: 'peer',
        ...{ poolKeys, highWaterPercent, lowWaterPercent, keyLifetimeS },
        devices: [deviceOf(parts)],
      },
    ],
    allowSimulated: true,
  })
}
