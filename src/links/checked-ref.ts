import { KmeError } from '../errors.ts'
import { MAX_BLOCK_BYTES, MAX_REF_TEXT } from '../model/block.ts'
import type { BlockRef } from '../model/block.ts'
import type { DeviceId } from '../model/ids.ts'
import type { KeyBlock } from '../ports/qkd-driver.ts'

/**
 * The ref of a block that a device offers. What could not be told to the peer would stop all else
 * that is.
 * @throws KmeError DRIVER_FAILED where it is another device's, or has no sound name or size
 */
export const checkedRef = (deviceId: DeviceId, { ref, material }: KeyBlock): BlockRef => {
  if (ref.deviceId !== deviceId) {
    throw new KmeError('DRIVER_FAILED', `device ${deviceId} offers another's block`)
  }
  const isName = (text: string): boolean => text.length > 0 && text.length <= MAX_REF_TEXT
  if (isName(ref.streamId) && isName(ref.vendorId) && material.length <= MAX_BLOCK_BYTES) {
    return ref
  }
  throw new KmeError(
    'DRIVER_FAILED',
    `device ${deviceId} offers a block whose name is empty or too long, or of over 64 MiB`,
  )
}
