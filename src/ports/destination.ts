import type { KmeId, LinkId, SaeId } from '../model/ids.ts'
import type { RegisteredSae } from '../model/delivery.ts'
import type { DeliveryId } from '../model/key-id.ts'

/**
 * Where slave SAEs are reached: over a link, or here. `delivery` knows no link by name: it asks the
 * directory for the destination of a slave and lets it issue keys.
 */
export interface Destination {
  /** The KME at which the slaves of this destination are registered; for status. */
  readonly targetKmeId: KmeId
  readonly limits: DestinationLimits
  /** Keys of that length that could be delivered now: 0 while the peer cannot confirm. */
  deliverableKeys(keyLengthBytes: number): number
  /** Kinds of device that feed this destination: whether keys are simulated shows in status. */
  provenance(): readonly string[]
  /**
   * Allocates one range, makes it durable here and confirmed there, and returns the key bytes.
   * Refused before anything is allocated, so that nothing is consumed: KEYS_EXHAUSTED,
   * SLAVE_UNKNOWN, OPTIONS_NOT_MET, NOT_READY, PEER_UNAVAILABLE (known to be down).
   * Afterwards, PEER_UNAVAILABLE: the bits are burned, never reused; the caller learns no key ID.
   */
  issue(request: IssueRequest): Promise<IssuedKeys>
  /**
   * Where deliveries of the KME behind this destination may be told later than their masters have
   * their keys: asks it for those of these that are not known here and name the SAE as a slave.
   * When it resolves, they are here, or are none of its. @throws KmeError PEER_UNAVAILABLE
   */
  bring?(deliveryIds: readonly DeliveryId[], sae: RegisteredSae): Promise<void>
}

export interface DestinationLimits {
  readonly defaultKeySizeBits: number
  readonly minKeySizeBits: number
  readonly maxKeySizeBits: number
  readonly maxKeysPerRequest: number
  /** Most keys of the default size that the pool holds. */
  readonly maxKeyCount: number
  readonly maxAdditionalSlaves: number
  /** How long delivered keys are kept for slaves that have not fetched. */
  readonly keyLifetimeMs: number
  /** For how long a slave here may repeat a request for keys by their IDs; 0: never. */
  readonly redeliveryWindowMs: number
}

export interface IssueRequest {
  readonly master: RegisteredSae
  /** Slaves registered at this KME. */
  readonly localSlaves: readonly RegisteredSae[]
  /** Slaves at the destination's KME, where that is another one. */
  readonly remoteSlaves: readonly RegisteredSae[]
  readonly keyLengthBytes: number
  readonly keyCount: number
  /** Refuse (OPTIONS_NOT_MET) key that was received longer ago than this. */
  readonly maxAgeMs: number | null
}

export interface IssuedKeys {
  readonly deliveryId: DeliveryId
  /** keyCount keys, one after the other. The caller owns and wipes it. */
  readonly material: Buffer
}

/** Finds out where an SAE is. */
export interface SaeDirectory {
  /** The SAE as registered at this KME, or null. */
  local(saeId: SaeId): LocalSae | null
  /**
   * Where a slave is reached. `unknown`: no KME has it registered; `undecided`: no list of SAEs
   * ever came from a peer that might have it; `ambiguous`: two peers claim it.
   */
  locate(saeId: SaeId): SaeLocation
  /** The destination for deliveries whose slaves are all registered here, if one is configured. */
  localDestination(): Destination | null
  /** Of the link's deliveries: for how long an answer with their keys may be asked for again. */
  redeliveryWindowMs(linkId: LinkId): number
}

export interface LocalSae extends RegisteredSae {
  /** May be master and slave of one delivery. */
  readonly loopback: boolean
}

export type SaeLocation =
  | { readonly kind: 'here'; readonly sae: LocalSae }
  | { readonly kind: 'remote'; readonly sae: RegisteredSae; readonly destination: Destination }
  | { readonly kind: 'unknown' | 'undecided' | 'ambiguous' }
