import type { LinkParts } from './link-parts.ts'
import type { RegisteredSae } from '../model/delivery.ts'
import type { SaeId } from '../model/ids.ts'

/** The SAEs that the peer has told it has registered: the durable list, in memory. */
export class PeerSaes {
  readonly #parts: LinkParts
  #saes: ReadonlyMap<SaeId, RegisteredSae> | null = null

  constructor(parts: LinkParts) {
    this.#parts = parts
  }

  async refresh(): Promise<void> {
    const list = await this.#parts.store.readPeerSaes(this.#parts.settings.linkId)
    this.#saes = list && new Map(list.saes.map((sae) => [sae.saeId, sae]))
  }

  /** Null where the peer has no such SAE; undefined where no list ever came. */
  find(saeId: SaeId): RegisteredSae | null | undefined {
    return this.#saes ? (this.#saes.get(saeId) ?? null) : undefined
  }
}
