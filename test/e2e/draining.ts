import { isKmeError } from '../../src/errors.ts'
import type { KeyMessage } from '../../src/etsi014/messages.ts'
import type { KmeSite } from '../helpers/kme-site.ts'

interface Drained {
  readonly site: KmeSite
  readonly masterId: string
  readonly slaveId: string
}

/** Draws keys until the KME has none of the smallest size left. */
export const drawAll = async ({ site, masterId, slaveId }: Drained): Promise<KeyMessage[]> => {
  const master = await site.sae(masterId)
  const drawn: KeyMessage[] = []
  // Large ones first, then the rest to the last eight bytes.
  for (const request of [
    { number: 64, size: 512 },
    { number: 1, size: 512 },
    { number: 1, size: 64 },
  ]) {
    for (;;) {
      try {
        drawn.push(...(await master.getKey(slaveId, request)))
      } catch (error) {
        if (isKmeError(error, 'NOT_READY')) break
        throw error
      }
    }
  }
  return drawn
}

/** Fetches keys as their slave, a few at a time. */
export const fetchAll = async (
  site: KmeSite,
  slaveId: string,
  masterId: string,
  drawn: readonly KeyMessage[],
): Promise<readonly KeyMessage[]> => {
  const slave = await site.sae(slaveId)
  const fetched: KeyMessage[] = []
  for (let at = 0; at < drawn.length; at += 64) {
    const ids = drawn.slice(at, at + 64).map(({ key_ID }) => key_ID)
    fetched.push(...(await slave.getKeysWithIds(masterId, ids)))
  }
  return fetched
}
