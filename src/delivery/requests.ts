import type { DeliveryId, KeyId } from '../model/key-id.ts'
import type { KmeId, SaeId } from '../model/ids.ts'

/** What SAEs ask of key delivery and what they get, in Keyspring's words and units. */

export interface GetKeyRequest {
  readonly slaveId: SaeId
  /** Further slaves of the same keys; null where the request does not speak of them. */
  readonly additionalSlaveIds: readonly SaeId[] | null
  /** Null: one key. Any integer: its range is checked here. */
  readonly keyCount: number | null
  /** Null: the destination's default size. Any integer. */
  readonly keySizeBits: number | null
  /** Only key that was received at most so long ago; null: of any age. */
  readonly maxAgeMs: number | null
}

export interface DeliveredKeys {
  /** The key IDs are those with the indexes 0, 1, 2, ...: see model/key-id.ts. */
  readonly deliveryId: DeliveryId
  readonly keyCount: number
  readonly keyLengthBytes: number
  /** The keys, one after the other. The caller owns and wipes it. */
  readonly material: Buffer
}

export interface FetchKeysRequest {
  readonly masterId: SaeId
  readonly keyIds: readonly KeyId[]
}

export interface FetchedKey {
  /** In lower case, however it was asked for. */
  readonly keyId: KeyId
  /** The caller owns and wipes it. */
  readonly key: Buffer
}

export interface FetchedKeys {
  readonly keys: readonly FetchedKey[]
  /** For so long the very same request gets the same answer; 0: it is answered once. */
  readonly redeliveryWindowMs: number
}

/** What the master can draw for this slave now. min <= default <= max size, stored <= max count. */
export interface KeyStatus {
  readonly sourceKmeId: KmeId
  readonly targetKmeId: KmeId
  readonly masterId: SaeId
  readonly slaveId: SaeId
  readonly defaultKeySizeBits: number
  readonly minKeySizeBits: number
  readonly maxKeySizeBits: number
  /** Keys of the default size that can be delivered now; 0 while the peer cannot confirm. */
  readonly storedKeyCount: number
  readonly maxKeyCount: number
  readonly maxKeysPerRequest: number
  readonly maxAdditionalSlaves: number
  /** Kinds of device that the keys come from, for example `simulated`; each once. */
  readonly provenance: readonly string[]
}
