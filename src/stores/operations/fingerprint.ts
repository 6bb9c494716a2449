import { createHmac } from 'node:crypto'
import type { LinkId } from '../../model/ids.ts'
import type { Random } from '../../ports/clock.ts'
import { wipe } from '../../support/wipe.ts'
import type { StoreTx } from '../store-tx.ts'

const KEY_BYTES = 32
const FINGERPRINT_BYTES = 8

/** A new key, for one epoch of a link. It never leaves the store. */
export const renewFingerprintKey = (tx: StoreTx, linkId: LinkId, random: Random): void => {
  wipe(makeKey(tx, linkId, random))
}

/**
 * Tells later whether bytes offered again under a ref are those of before, when they themselves are
 * erased. Keyed, so that the fingerprint alone says nothing of them.
 */
export const withFingerprints = <T>(
  tx: StoreTx,
  linkId: LinkId,
  random: Random,
  work: (fingerprintOf: (material: Buffer) => Buffer) => T,
): T => {
  const key = tx.readFingerprintKey(linkId) ?? makeKey(tx, linkId, random)
  try {
    return work((material) => {
      const digest = createHmac('sha256', key).update(material).digest()
      return Buffer.from(digest.subarray(0, FINGERPRINT_BYTES))
    })
  } finally {
    wipe(key)
  }
}

const makeKey = (tx: StoreTx, linkId: LinkId, random: Random): Buffer => {
  const key = random.bytes(KEY_BYTES)
  tx.writeFingerprintKey(linkId, key)
  return key
}
