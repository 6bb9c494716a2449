import type { Config, LinkConfig } from '../config/schema.ts'
import type { DriverMaker } from './link-settings.ts'
import { KmeError } from '../errors.ts'
import type { Link } from '../links/link.ts'
import type { LinkParts } from '../links/link-parts.ts'
import { PeerClient } from '../peers/client.ts'
import { PeerLink } from '../links/peer-link.ts'
import type { PeerTrust } from './trust.ts'
import { SelfLink } from '../links/self-link.ts'
import { linkSettings, peerTimeoutMs } from './link-settings.ts'

export interface LinkOpening {
  readonly config: Config
  readonly parts: Omit<LinkParts, 'settings'>
  readonly peerTrust: PeerTrust | null
  readonly createDriver: DriverMaker
  readonly saesChanged: (link: Link) => void
}

/** Opens the links of the configuration, in its order; none of them runs yet. */
export const openLinks = async (
  opening: LinkOpening,
): Promise<{ readonly links: readonly Link[]; readonly peerLinks: readonly PeerLink[] }> => {
  const links: Link[] = []
  const peerLinks: PeerLink[] = []
  for (const link of opening.config.links) {
    if (link.peer === opening.config.kme.id) {
      links.push(await SelfLink.open(partsOf(opening, link)))
    } else {
      const opened = await openPeerLink(opening, link)
      links.push(opened)
      peerLinks.push(opened)
    }
  }
  return { links, peerLinks }
}

const partsOf = ({ config, parts, createDriver }: LinkOpening, link: LinkConfig): LinkParts => ({
  ...parts,
  settings: linkSettings(config, link, createDriver),
})

const openPeerLink = (opening: LinkOpening, link: LinkConfig): Promise<PeerLink> => {
  const { config, parts, peerTrust, saesChanged } = opening
  const peer = config.peers.find(({ id }) => id === link.peer)
  if (!peer || !peerTrust) {
    // The configuration is checked for both before it comes here.
    throw new KmeError('CONFIG_INVALID', `links: ${link.id}: there is no peer ${link.peer}`)
  }
  const client = new PeerClient({
    linkId: link.id,
    peerKmeId: peer.id,
    host: peer.host,
    port: peer.port,
    random: parts.random,
    timeoutMs: peerTimeoutMs(link),
    tls: peerTrust.clientTls,
    kmeIdOf: peerTrust.serverOf,
  })
  return PeerLink.open(partsOf(opening, link), client, saesChanged)
}
