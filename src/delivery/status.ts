import type { LocalSae, SaeDirectory } from '../ports/destination.ts'
import type { KeyStatus } from './requests.ts'
import type { KmeId, SaeId } from '../model/ids.ts'
import { bytesOfBits } from '../model/units.ts'
import { findRecipients } from './recipients.ts'
import { maxKeysPerRequest } from './key-limits.ts'

/** Clients read the counts into signed 32-bit integers. */
const MOST = 2 ** 31 - 1

const count = (value: number, most: number): number =>
  Math.min(Math.max(0, Math.floor(value)), most)

/**
 * *Get status* (ETSI GS QKD 014, 5.2): what `master` could draw for this slave now, from the very
 * destination that *Get key* would use; it refuses the slaves that *Get key* refuses.
 */
export const statusOf = (
  kmeId: KmeId,
  directory: SaeDirectory,
  master: LocalSae,
  slaveId: SaeId,
): KeyStatus => {
  const { destination } = findRecipients(directory, master, slaveId, null)
  const { limits, targetKmeId } = destination
  const maxKeyCount = count(limits.maxKeyCount, MOST)
  const deliverable = destination.deliverableKeys(bytesOfBits(limits.defaultKeySizeBits))
  return {
    sourceKmeId: kmeId,
    targetKmeId,
    masterId: master.saeId,
    slaveId,
    defaultKeySizeBits: limits.defaultKeySizeBits,
    minKeySizeBits: limits.minKeySizeBits,
    maxKeySizeBits: limits.maxKeySizeBits,
    storedKeyCount: count(deliverable, maxKeyCount),
    maxKeyCount,
    maxKeysPerRequest: maxKeysPerRequest(limits),
    maxAdditionalSlaves: limits.maxAdditionalSlaves,
    provenance: [...new Set(destination.provenance())],
  }
}
