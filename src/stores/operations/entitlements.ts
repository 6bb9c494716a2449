import type { RegisteredSae } from '../../model/delivery.ts'
import type { EntitledSlave } from '../store-tx.ts'

/** Who may still fetch which keys of a delivery: one bit per key and slave. */

/** Every slave may fetch every key, once. */
export const entitleAll = (
  slaves: readonly RegisteredSae[],
  keyCount: number,
): readonly EntitledSlave[] =>
  slaves.map(({ saeId, registrationId }) => {
    const unfetched = Buffer.alloc(Math.ceil(keyCount / 8), 0xff)
    const surplus = unfetched.length * 8 - keyCount
    unfetched.writeUInt8(0xff >> surplus, unfetched.length - 1)
    return { saeId, registrationId, unfetched }
  })

export const mayFetch = (slave: EntitledSlave, index: number): boolean =>
  (((slave.unfetched[index >> 3] ?? 0) >> (index & 7)) & 1) === 1

/** The entitlements after `slave` has fetched these keys. */
export const withFetched = (
  slaves: readonly EntitledSlave[],
  slave: EntitledSlave,
  indexes: readonly number[],
): readonly EntitledSlave[] => {
  const unfetched = Buffer.from(slave.unfetched)
  for (const index of indexes) {
    unfetched[index >> 3] = (unfetched[index >> 3] ?? 0) & ~(1 << (index & 7))
  }
  return slaves.map((other) => (other === slave ? { ...slave, unfetched } : other))
}

/** Whether some slave has yet to fetch the key: then its bytes are kept. */
export const isAwaited = (slaves: readonly EntitledSlave[], index: number): boolean =>
  slaves.some((slave) => mayFetch(slave, index))

/** How many keys some slave has yet to fetch. */
export const countAwaited = (slaves: readonly EntitledSlave[], keyCount: number): number => {
  let count = 0
  for (let index = 0; index < keyCount; index += 1) if (isAwaited(slaves, index)) count += 1
  return count
}

export const findSlave = <S extends RegisteredSae>(
  slaves: readonly S[],
  { saeId, registrationId }: RegisteredSae,
): S | undefined =>
  slaves.find((slave) => slave.saeId === saeId && slave.registrationId === registrationId)
