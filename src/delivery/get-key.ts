import type { DeliveredKeys, GetKeyRequest } from './requests.ts'
import type { IssueRequest, IssuedKeys, LocalSae, SaeDirectory } from '../ports/destination.ts'
import { checkKeyCount, checkKeySize } from './key-limits.ts'
import { KmeError } from '../errors.ts'
import { findRecipients } from './recipients.ts'
import { wipe } from '../support/wipe.ts'

/** A destination that returns another length than was asked for would shift keys against key IDs. */
const checkIssued = ({ material }: IssuedKeys, request: IssueRequest): void => {
  const expected = request.keyCount * request.keyLengthBytes
  if (material.length === expected) return
  wipe(material)
  throw new KmeError('INTERNAL', `asked for ${expected} bytes of key, got ${material.length}`)
}

/**
 * *Get key* (ETSI GS QKD 014, 5.3): checks everything that can be checked before anything is
 * allocated, then lets the destination of the slaves issue the keys.
 */
export const getKey = async (
  directory: SaeDirectory,
  master: LocalSae,
  request: GetKeyRequest,
): Promise<DeliveredKeys> => {
  const { slaveId, additionalSlaveIds, keyCount, keySizeBits, maxAgeMs } = request
  const recipients = findRecipients(directory, master, slaveId, additionalSlaveIds)
  const { destination, localSlaves, remoteSlaves } = recipients
  const issueRequest: IssueRequest = {
    master: { saeId: master.saeId, registrationId: master.registrationId },
    localSlaves,
    remoteSlaves,
    keyCount: checkKeyCount(keyCount, destination.limits),
    keyLengthBytes: checkKeySize(keySizeBits, destination.limits),
    maxAgeMs,
  }
  const issued = await destination.issue(issueRequest)
  checkIssued(issued, issueRequest)
  return {
    deliveryId: issued.deliveryId,
    keyCount: issueRequest.keyCount,
    keyLengthBytes: issueRequest.keyLengthBytes,
    material: issued.material,
  }
}
