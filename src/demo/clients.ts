import type { DemoLayout, DemoSite } from './layout.ts'

/** What the demo shows of a KME. */
export interface KmeFigures {
  readonly kmeId: string
  /** Whether keys can be delivered. */
  readonly ready: boolean
  /** Why not, in one line. */
  readonly reason: string | null
  /** Keys of the default size that could be delivered now. */
  readonly keysStored: number
  /** Quantum bit error rate, 0 to 1. */
  readonly qber: number | null
  readonly secretKeyRateBps: number | null
}

export interface DrawnKey {
  readonly keyId: string
  /** The caller wipes it. */
  readonly key: Buffer
}

/** The outside of the two KMEs, as an operator and as their SAEs. Whoever starts the demo hands it in. */
export interface DemoClients {
  /** @throws KmeError PEER_UNAVAILABLE while the KME does not answer */
  figures(layout: DemoLayout, site: DemoSite): Promise<KmeFigures>
  /** The SAE of `site` draws one key for `slaveId`. */
  drawKey(layout: DemoLayout, site: DemoSite, slaveId: string): Promise<DrawnKey>
  /** The SAE of `site` fetches the key that `masterId` drew. */
  fetchKey(layout: DemoLayout, site: DemoSite, masterId: string, keyId: string): Promise<DrawnKey>
}
