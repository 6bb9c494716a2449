import { expect, test } from '@jest/globals'
import { withKmePair } from '../helpers/kme-pair.ts'
import type { KmeSite } from '../helpers/kme-site.ts'
import { isKmeError } from '../../src/errors.ts'
import { patiently } from '../helpers/patiently.ts'

const LONG_MS = 180_000
const POOL_KEYS = 20_000
const KEY_BYTES = 32

const availableBytes = async (site: KmeSite): Promise<number> => {
  const { lanes } = await site.link()
  return lanes[0].availableBytes + lanes[1].availableBytes
}

/** Draws at one site until nothing has come for a while; each key only once. */
const drain = async (from: KmeSite, slaveId: string, seen: Set<string>): Promise<number> => {
  const master = await from.sae(from.kmeId.replace('kme', 'sae'))
  let keys = 0
  for (let empty = 0; empty < 30;) {
    try {
      for (const { key } of await master.getKey(slaveId, { number: 32, size: 256 })) {
        const bytes = key.toString('base64')
        expect(seen.has(bytes)).toBe(false)
        seen.add(bytes)
        keys += 1
      }
      empty = 0
    } catch (error) {
      if (!isKmeError(error, 'NOT_READY') && !isKmeError(error, 'PEER_UNAVAILABLE')) throw error
      empty += 1
      await new Promise((resolve) => setTimeout(resolve, 250))
    }
  }
  return keys
}

test(
  'where only one site draws it gets nearly all key of both lanes, and the other works again with new key',
  () =>
    withKmePair(
      {
        link: { poolKeys: POOL_KEYS, highWaterPercent: 100, lowWaterPercent: 1 },
        simulator: { secretKeyRateBps: 8_000_000, blockBytes: 4096 },
      },
      async ({ a, b }) => {
        const seen = new Set<string>()
        await patiently(
          async () => (await availableBytes(a)) > POOL_KEYS * KEY_BYTES * 0.9,
          'a full pool',
        )
        await a.control('stall', true)
        await b.control('stall', true)
        await patiently(async () => (await a.link()).ledger.bytes.unverified === 0, 'rest')
        const before = await availableBytes(a)
        const drawn = await drain(a, 'sae-b', seen)
        expect(drawn * KEY_BYTES).toBeGreaterThan(before * 0.85)

        await a.control('stall', false)
        await b.control('stall', false)
        await patiently(async () => (await b.link()).keys.deliverable > 100, 'new key')
        const master = await b.sae('sae-b')
        const keys = await master.getKey('sae-a', { number: 32, size: 256 })
        for (const { key } of keys) expect(seen.has(key.toString('base64'))).toBe(false)
      },
    ),
  LONG_MS,
)
