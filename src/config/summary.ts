import type { CertificateFact } from './files.ts'
import type { ExaminedConfig } from './load.ts'
import { simulatedDevices } from './link-checks.ts'
import type { Config, LinkConfig, ProbesListenerConfig } from './schema.ts'

/** What a configuration would run, and what an operator may want to look at, in words. */

const endpoint = (host: string, port: number): string => {
  const name = host.includes(':') ? `[${host}]` : host
  return port === 0 ? `${name}, a port that the system chooses` : `${name}:${String(port)}`
}

const counted = (count: number, noun: string): string =>
  `${String(count)} ${noun}${count === 1 ? '' : 's'}`

const names = (values: readonly string[]): string =>
  values.map((value) => JSON.stringify(value)).join(', ')

const probesPlace = ({ host, port, socket }: ProbesListenerConfig): string =>
  socket ?? endpoint(host, port ?? 0)

const listenerLines = ({ listeners }: Config): readonly string[] => {
  const { sae, peer, admin, probes } = listeners
  const oldest = sae.minTlsVersion.replace('TLSv', 'TLS ')
  return [
    `SAEs      ${endpoint(sae.host, sae.port)}, ${oldest} or newer`,
    peer === undefined
      ? 'peers     no listener'
      : `peers     ${endpoint(peer.host, peer.port)}, TLS 1.3`,
    `operators ${endpoint(admin.host, admin.port)}, TLS 1.3`,
    probes === undefined ? 'probes    off' : `probes    ${probesPlace(probes)}, without TLS`,
  ]
}

const linkLines = (config: Config, link: LinkConfig): readonly string[] => {
  const own = link.peer === config.kme.id
  const peer = config.peers.find(({ id }) => id === link.peer)
  const where = peer === undefined ? '' : ` at ${endpoint(peer.host, peer.port)}`
  return [
    own
      ? `link ${link.id}: with itself`
      : `link ${link.id}: to ${JSON.stringify(link.peer)}${where}`,
    `  keys of ${String(link.keySizeBits)} bits (${String(link.minKeySizeBits)} to ${String(link.maxKeySizeBits)}), up to ${counted(link.maxKeysPerRequest, 'key')} per request, pool of ${counted(link.poolKeys, 'key')}`,
    ...link.devices.map(({ id, driver, role }) => `  device ${id}: ${driver}, ${role}`),
  ]
}

const storeLine = ({ store }: Config): string =>
  store.type === 'memory'
    ? 'store     memory: all is lost at the end'
    : `store     sqlite, ${store.path}`

/** Lines for people: listeners, store, links with their devices, SAEs. */
export const configSummary = (config: Config): readonly string[] => [
  `KME       ${JSON.stringify(config.kme.id)}`,
  ...listenerLines(config),
  storeLine(config),
  ...config.links.flatMap((link) => linkLines(config, link)),
  config.saes.length === 0
    ? 'SAEs registered: none'
    : `SAEs registered: ${names(config.saes.map((sae) => sae.id))}`,
]

const DAY_MS = 86_400_000
const SOON_DAYS = 30

const dateOf = (moment: Date): string => moment.toISOString().slice(0, 10)

const validityProblem = (
  { validFrom, validTo }: CertificateFact,
  now: Date,
): string | undefined => {
  if (validFrom > now) return `is not valid before ${dateOf(validFrom)}`
  const days = Math.floor((validTo.getTime() - now.getTime()) / DAY_MS)
  if (days >= SOON_DAYS) return undefined
  return days < 0
    ? `has expired on ${dateOf(validTo)}`
    : `expires on ${dateOf(validTo)}, in ${counted(days, 'day')}`
}

const validityWarning = (fact: CertificateFact, now: Date): string | undefined => {
  const when = validityProblem(fact, now)
  if (when === undefined) return undefined
  return `${fact.option}: the certificate ${JSON.stringify(fact.subject)} ${when} (${fact.file})`
}

const isDefined = <T>(value: T | undefined): value is T => value !== undefined

const emptyWarnings = (config: Config): readonly string[] => {
  const warnings = config.links
    .filter((link) => link.devices.length === 0)
    .map((link) => `link ${link.id} has no device: no key comes in`)
  if (config.links.length === 0) warnings.push('no link is configured: no key can be delivered')
  if (config.saes.length === 0) warnings.push('no SAE is registered: nobody can ask for keys')
  const linked = new Set(config.links.map((link) => link.peer))
  for (const { id } of config.peers) {
    if (!linked.has(id)) warnings.push(`the peer ${JSON.stringify(id)} has no link`)
  }
  return warnings
}

/** Certificates that are not valid at `now`, or not for much longer. */
export const certificateWarnings = (
  certificates: readonly CertificateFact[],
  now: Date,
): readonly string[] => certificates.map((fact) => validityWarning(fact, now)).filter(isDefined)

/** What does not keep a KME from starting but should be known; `now` is for certificates that expire soon. */
export const configWarnings = (examined: ExaminedConfig, now: Date): readonly string[] => [
  ...simulatedDevices(examined.config).map(
    (name) => `device ${name} is simulated: its keys are not secret, never use them in production`,
  ),
  ...certificateWarnings(examined.certificates, now),
  ...examined.missing,
  ...emptyWarnings(examined.config),
]
