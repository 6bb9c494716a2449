import type { Config } from '../config/schema.ts'
import type { KmeListeners } from './listeners.ts'
import type { Link } from '../links/link.ts'
import type { Listener } from '../http/listener.ts'
import { formatAddress } from '../http/listen-error.ts'

/** What listens and what is still missing, in words: a line each, for who has just started a KME. */
export const describeKme = (
  config: Config,
  links: readonly Link[],
  listeners: KmeListeners,
): readonly string[] => [
  `KME ${config.kme.id}`,
  ...listening(listeners),
  ...registered(config),
  ...links.flatMap(describeLink),
  ...(links.length === 0 ? ['no link is configured: add one under links'] : []),
]

const listening = ({ sae, peer, admin, probes }: KmeListeners): readonly string[] => {
  const line = (listener: Listener | null, who: string): readonly string[] =>
    listener ? [`listens on ${formatAddress(listener.address)} for ${who}`] : []
  return [
    ...line(sae, 'SAEs (ETSI GS QKD 014)'),
    ...line(peer, 'peer KMEs'),
    ...line(admin, 'operators'),
    ...line(probes, 'probes, without TLS'),
  ]
}

const registered = ({ saes }: Config): readonly string[] =>
  saes.length === 0
    ? ['no SAE is registered: add one under saes']
    : [`registered SAEs: ${saes.map(({ id }) => id).join(', ')}`]

const describeLink = (link: Link): readonly string[] => {
  const name = `link ${link.linkId}`
  const missing: string[] = []
  if (link.waitingFor !== '')
    missing.push(`${name}: waits for KME ${link.peerKmeId}: ${link.waitingFor}`)
  if (link.devices.length === 0) missing.push(`${name}: has no device: add one under devices`)
  for (const device of link.devices) {
    const { state, reason } = device.status()
    if (state === 'running') continue
    missing.push(
      `${name}: device ${device.settings.deviceId} is ${state}${reason ? `: ${reason}` : ''}`,
    )
  }
  return missing.length === 0 ? [`${name}: agreed with KME ${link.peerKmeId}`] : missing
}
