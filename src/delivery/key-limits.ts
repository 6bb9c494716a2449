import { BITS_PER_BYTE, bytesOfBits } from '../model/units.ts'
import type { DestinationLimits } from '../ports/destination.ts'
import { KmeError } from '../errors.ts'
import { MAX_KEYS_PER_DELIVERY } from '../model/key-id.ts'

const badRequest = (message: string): KmeError => new KmeError('BAD_REQUEST', message)

/** A key ID has room for so many keys of one delivery, whatever the configuration allows. */
export const maxKeysPerRequest = (limits: DestinationLimits): number =>
  Math.min(limits.maxKeysPerRequest, MAX_KEYS_PER_DELIVERY)

/** @throws KmeError BAD_REQUEST */
export const checkKeyCount = (keyCount: number | null, limits: DestinationLimits): number => {
  if (keyCount === null) return 1
  const most = maxKeysPerRequest(limits)
  if (!Number.isInteger(keyCount) || keyCount < 1 || keyCount > most) {
    throw badRequest(`number shall be an integer from 1 to ${most} (max_key_per_request)`)
  }
  return keyCount
}

/**
 * The length of each key, in bytes.
 * @throws KmeError BAD_REQUEST, in the standard's words where the size is no number of whole bytes
 */
export const checkKeySize = (sizeBits: number | null, limits: DestinationLimits): number => {
  if (sizeBits === null) return bytesOfBits(limits.defaultKeySizeBits)
  const { minKeySizeBits, maxKeySizeBits } = limits
  if (Number.isInteger(sizeBits) && sizeBits > 0 && sizeBits % BITS_PER_BYTE !== 0) {
    throw badRequest('size shall be a multiple of 8')
  }
  if (!Number.isInteger(sizeBits) || sizeBits < minKeySizeBits || sizeBits > maxKeySizeBits) {
    throw badRequest(
      `size shall be an integer from ${minKeySizeBits} (min_key_size) to ${maxKeySizeBits} (max_key_size) bits`,
    )
  }
  return bytesOfBits(sizeBits)
}
