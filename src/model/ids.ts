/** Names of the things that a KME speaks about. All are compared exactly, byte by byte. */

/** Identity of a secure application entity, 1 to 291 characters of any kind (ETSI GS QKD 014 leaves the format free). */
export type SaeId = string
/** Identity of a key management entity. */
export type KmeId = string
/** Name of a link; equal at both ends. */
export type LinkId = string
/** Name of a device (a pair of QKD modules); equal at both ends. */
export type DeviceId = string

/**
 * Random name of one registration of an SAE at its KME, 32 hex digits. Who gets the same SAE ID
 * later gets another registration, and so inherits nothing.
 */
export type RegistrationId = string

/** Random name of a store, new when it is created or restored, 32 hex digits. */
export type Generation = string

export const MAX_SAE_ID_CHARACTERS = 291

/** Length in characters, not UTF-16 units: an SAE ID may hold any character. */
export const characterCount = (text: string): number => Array.from(text).length

/** Bytewise order of UTF-8, the order in which the ends of a link are told apart. */
export const compareBytewise = (a: string, b: string): number =>
  Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'))
