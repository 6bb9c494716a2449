import type { KeyStatus } from '../delivery/requests.ts'
import { secondsOfMs } from '../model/units.ts'

/** The messages of ETSI GS QKD 014 V1.1.1 as they are on the wire (clause 6). */

/** 6.1 */
export interface StatusMessage {
  readonly source_KME_ID: string
  readonly target_KME_ID: string
  readonly master_SAE_ID: string
  readonly slave_SAE_ID: string
  /** Bits. */
  readonly key_size: number
  readonly stored_key_count: number
  readonly max_key_count: number
  readonly max_key_per_request: number
  /** Bits. */
  readonly max_key_size: number
  /** Bits. */
  readonly min_key_size: number
  readonly max_SAE_ID_count: number
  readonly status_extension?: Readonly<Record<string, unknown>>
}

/** One entry of extension_mandatory or extension_optional: names and values. */
export type ExtensionMessage = Readonly<Record<string, unknown>>

/** 6.2 */
export interface KeyRequestMessage {
  readonly number?: number
  /** Bits. */
  readonly size?: number
  readonly additional_slave_SAE_IDs?: readonly string[]
  readonly extension_mandatory?: readonly ExtensionMessage[]
  readonly extension_optional?: readonly ExtensionMessage[]
}

/** 6.3, with the key as what it is instead of its base64 text, which only ever exists as bytes. */
export interface KeyMessage {
  readonly key_ID: string
  readonly key: Buffer
}

/** 6.4 */
export interface KeyIdsMessage {
  readonly key_IDs: readonly KeyIdMessage[]
  readonly key_IDs_extension?: Readonly<Record<string, unknown>>
}

export interface KeyIdMessage {
  readonly key_ID: string
  readonly key_ID_extension?: Readonly<Record<string, unknown>>
}

/** 6.5 */
export interface ErrorMessage {
  readonly message: string
  readonly details?: readonly Readonly<Record<string, unknown>>[]
}

/** What the request of *Get key* may hold; the rest is ignored. */
export const KEY_REQUEST_MEMBERS = [
  'number',
  'size',
  'additional_slave_SAE_IDs',
  'extension_mandatory',
  'extension_optional',
] as const satisfies readonly (keyof KeyRequestMessage)[]

export type KeyRequestMember = (typeof KEY_REQUEST_MEMBERS)[number]

/** The extension of ours that status carries: where the keys come from. */
export const KEY_SOURCES = 'key_sources'

/** The extension of ours that a key container carries where the answer may be asked for again, in seconds. */
const REDELIVERY_WINDOW = 'redelivery_window_s'

/** `key_container_extension` of 6.3; none where there is nothing to say. */
export const redeliveryExtension = (
  windowMs: number,
): Readonly<Record<string, number>> | undefined =>
  windowMs === 0 ? undefined : { [REDELIVERY_WINDOW]: secondsOfMs(windowMs) }

export const statusMessage = (status: KeyStatus): StatusMessage => ({
  source_KME_ID: status.sourceKmeId,
  target_KME_ID: status.targetKmeId,
  master_SAE_ID: status.masterId,
  slave_SAE_ID: status.slaveId,
  key_size: status.defaultKeySizeBits,
  stored_key_count: status.storedKeyCount,
  max_key_count: status.maxKeyCount,
  max_key_per_request: status.maxKeysPerRequest,
  max_key_size: status.maxKeySizeBits,
  min_key_size: status.minKeySizeBits,
  max_SAE_ID_count: status.maxAdditionalSlaves,
  ...(status.provenance.length === 0
    ? {}
    : { status_extension: { [KEY_SOURCES]: status.provenance } }),
})
