import type { Destination, LocalSae, SaeDirectory, SaeLocation } from '../ports/destination.ts'
import type { Link } from './link.ts'
import type { Observer } from '../ports/observer.ts'
import type { LinkId, SaeId } from '../model/ids.ts'

export interface DirectoryParts {
  readonly saes: readonly LocalSae[]
  readonly links: readonly Link[]
  readonly kmeId: string
  readonly observer: Observer
}

/**
 * Which SAE is where. An SAE registered here is ours, whoever else claims it; one that two peers
 * claim gets no new deliveries until they agree.
 */
export class Directory implements SaeDirectory {
  readonly #local: ReadonlyMap<SaeId, LocalSae>
  readonly #peerLinks: readonly Link[]
  readonly #selfLink: Link | null
  readonly #links: readonly Link[]
  readonly #observer: Observer
  readonly #claimedTwice = new Set<SaeId>()

  constructor({ saes, links, kmeId, observer }: DirectoryParts) {
    this.#local = new Map(saes.map((sae) => [sae.saeId, sae]))
    this.#peerLinks = links.filter((link) => link.peerKmeId !== kmeId)
    this.#selfLink = links.find((link) => link.peerKmeId === kmeId) ?? null
    this.#links = links
    this.#observer = observer
  }

  local(saeId: SaeId): LocalSae | null {
    return this.#local.get(saeId) ?? null
  }

  localDestination(): Destination | null {
    return this.#selfLink?.destination ?? null
  }

  redeliveryWindowMs(linkId: LinkId): number {
    const link = this.#links.find((one) => one.linkId === linkId)
    return link?.destination.limits.redeliveryWindowMs ?? 0
  }

  locate(saeId: SaeId): SaeLocation {
    const sae = this.#local.get(saeId)
    if (sae) return { kind: 'here', sae }
    return this.#locateRemote(saeId)
  }

  #locateRemote(saeId: SaeId): SaeLocation {
    const claims = this.#peerLinks.map((link) => ({ link, sae: link.peerSae(saeId) }))
    const claimed = claims.flatMap(({ link, sae }) => (sae ? [{ link, sae }] : []))
    const [first, second] = claimed
    if (first && second) {
      this.#alarmClaimed(saeId, [first.link.peerKmeId, second.link.peerKmeId])
      return { kind: 'ambiguous' }
    }
    if (first) return { kind: 'remote', sae: first.sae, destination: first.link.destination }
    const undecided = claims.some(({ sae }) => sae === undefined)
    return { kind: undecided ? 'undecided' : 'unknown' }
  }

  /** Checks a peer's new list against who is registered here. */
  listChanged(link: Link): void {
    for (const saeId of this.#local.keys()) {
      if (link.peerSae(saeId)) this.#alarmClaimed(saeId, ['this KME', link.peerKmeId])
    }
    for (const saeId of this.#claimedTwice) if (!this.#isClaimedTwice(saeId)) this.#settled(saeId)
  }

  #isClaimedTwice(saeId: SaeId): boolean {
    const peers = this.#peerLinks.filter((link) => link.peerSae(saeId)).length
    return peers + (this.#local.has(saeId) ? 1 : 0) > 1
  }

  #settled(saeId: SaeId): void {
    this.#claimedTwice.delete(saeId)
    this.#observer.clear('sae-claimed-twice', { id: saeId })
  }

  #alarmClaimed(saeId: SaeId, by: readonly [string, string]): void {
    this.#claimedTwice.add(saeId)
    this.#observer.alarm({
      name: 'sae-claimed-twice',
      severity: 'major',
      id: saeId,
      message: `SAE ${saeId} is registered at ${by[0]} and at ${by[1]}; remove one registration`,
    })
  }
}
