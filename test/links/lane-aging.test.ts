import { describe, expect, test } from '@jest/globals'
import { LINK_ID, makeLinkPair } from '../helpers/link-pair.ts'
import { eventually } from '../helpers/eventually.ts'
import { ledgerDifference } from '../../src/model/ledger.ts'
import { randomBytes } from 'node:crypto'

describe('the maximum age of key in the lanes', () => {
  test('each end drops what has grown too old of its own lane, and the other follows', async () => {
    const settings = { maxAgeMs: 400 }
    await using pair = await makeLinkPair({ a: { settings }, b: {} })
    const { a, b } = pair
    await eventually(() => a.driver.isOpen && b.driver.isOpen, 'both devices opening')
    const material = randomBytes(40_032)
    for (const site of [a, b]) await site.driver.push({ vendorId: '1', material })
    await eventually(async () => {
      const { bytes } = await b.store.readLedger(LINK_ID)
      return bytes.dropped === 20_000
    }, 'the drop at the other end')
    for (const { store } of [a, b]) {
      const ledger = await store.readLedger(LINK_ID)
      expect(ledgerDifference(ledger)).toBe(0)
      expect(ledger.bytes.dropped).toBe(20_000)
    }
    // B has no maximum age: its lane is whole, at both ends.
    expect((await a.store.readLedger(LINK_ID)).bytes).toMatchObject({
      ownLane: 0,
      otherLane: 20_000,
    })
    const request = { master: a.sae, localSlaves: [], remoteSlaves: [b.sae], maxAgeMs: null }
    await expect(
      a.link.destination.issue({ ...request, keyLengthBytes: 32, keyCount: 1 }),
    ).rejects.toMatchObject({ code: 'KEYS_EXHAUSTED' })
    expect(b.link.destination.deliverableKeys(32)).toBe(625)
    await eventually(async () => (await a.store.listPendingDrops(LINK_ID, 9)).length === 0)
  })
})
