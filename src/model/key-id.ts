import { KmeError } from '../errors.ts'

/**
 * Key IDs are UUIDs of version 4 in form, made by the KME that allocates. Of their 122 free bits
 * the first 46 rise slowly within a life, so that inserts into an index stay local; 64 are random;
 * the last 12 are the key's index in its delivery. One delivery is one index row, named by the key
 * ID with index 0. No bit is derived from key material.
 */
export type KeyId = string

/** The key ID of index 0, 16 bytes: the name of a delivery in stores and between KMEs. */
export type DeliveryId = Buffer

export const MAX_KEYS_PER_DELIVERY = 4096
const INDEX_MASK = MAX_KEYS_PER_DELIVERY - 1

const UUID_FORM = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

export const isUuid = (text: string): boolean => UUID_FORM.test(text)

/** Where the rising 46 bits of a life start: anywhere in the lower half, so that they never wrap. */
export const RISING_START_LIMIT = 2 ** 45

/**
 * A new delivery ID from a rising counter (below 2^46) and ten random bytes, of which 64 bits are
 * used: 2 beside the counter, 12 after the version, 50 after the variant.
 */
export const makeDeliveryId = (rising: number, random: Buffer): DeliveryId => {
  if (rising >= 2 ** 46 || random.length < 10)
    throw new TypeError('46 rising bits, 10 random bytes')
  const id = Buffer.alloc(16)
  // 48 bits: 46 rising, 2 random.
  id.writeUIntBE(rising * 4 + (random.readUInt8(0) & 3), 0, 6)
  // 4 bits of version, 12 random.
  id.writeUInt16BE(0x4000 | (random.readUInt16BE(1) & 0x0fff), 6)
  // 2 bits of variant, 50 random, 12 of index (0).
  random.copy(id, 8, 3, 10)
  id.writeUInt8(0x80 | (id.readUInt8(8) & 0x3f), 8)
  id.writeUInt16BE(id.readUInt16BE(14) & ~INDEX_MASK & 0xffff, 14)
  return id
}

const formatUuid = (bytes: Buffer): string => {
  const hex = bytes.toString('hex')
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-')
}

/** The key ID of the `index`-th key of a delivery, in lower case. */
export const keyIdOf = (deliveryId: DeliveryId, index: number): KeyId => {
  const id = Buffer.from(deliveryId)
  id.writeUInt16BE((id.readUInt16BE(14) & ~INDEX_MASK & 0xffff) | index, 14)
  return formatUuid(id)
}

export interface KeyIdParts {
  readonly deliveryId: DeliveryId
  readonly index: number
}

/** Takes a key ID (either case) apart. Throws BAD_REQUEST where it is no UUID. */
export const splitKeyId = (keyId: KeyId): KeyIdParts => {
  if (!isUuid(keyId)) throw new KmeError('BAD_REQUEST', 'key_ID shall be a UUID')
  const bytes = Buffer.from(keyId.replaceAll('-', ''), 'hex')
  const tail = bytes.readUInt16BE(14)
  bytes.writeUInt16BE(tail & ~INDEX_MASK & 0xffff, 14)
  return { deliveryId: bytes, index: tail & INDEX_MASK }
}
