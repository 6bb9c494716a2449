import { describe, expect, test } from '@jest/globals'
import { LINK_ID, agreed, makeLinkPair, restart } from '../helpers/link-pair.ts'
import type { LinkPair, Site } from '../helpers/link-pair.ts'
import { UseRate } from '../../src/links/use-rate.ts'
import { eventually } from '../helpers/eventually.ts'
import { isKmeError } from '../../src/errors.ts'
import { ledgerDifference } from '../../src/model/ledger.ts'
import { randomBytes } from 'node:crypto'

const KEY_BYTES = 32
const TRIES = 400
const PAUSE_MS = 10

const pushBoth = async ({ a, b }: LinkPair, vendorId: string, lengthBytes: number) => {
  const material = randomBytes(lengthBytes)
  await eventually(() => a.driver.isOpen && b.driver.isOpen, 'both devices opening')
  await a.driver.push({ vendorId, material })
  await b.driver.push({ vendorId, material })
}

const keysAt = (site: Site): number => site.link.destination.deliverableKeys(KEY_BYTES)

/** One Get key; null where there is not enough key. */
const draw = async (from: Site, to: Site, keyCount: number): Promise<Buffer | null> => {
  try {
    const request = { master: from.sae, localSlaves: [], remoteSlaves: [to.sae], maxAgeMs: null }
    const issued = await from.link.destination.issue({
      ...request,
      keyLengthBytes: KEY_BYTES,
      keyCount,
    })
    return issued.material
  } catch (error) {
    if (isKmeError(error, 'KEYS_EXHAUSTED')) return null
    throw error
  }
}

/** Draws until nothing comes for long; returns the keys, of which none may come twice. */
const drain = async (from: Site, to: Site, keyCount: number): Promise<readonly string[]> => {
  const keys: string[] = []
  for (let idle = 0; idle < TRIES; idle += 1) {
    const material = (await draw(from, to, keyCount)) ?? (await draw(from, to, 1))
    if (material === null) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    else {
      idle = 0
      for (let at = 0; at < material.length; at += KEY_BYTES) {
        keys.push(material.toString('hex', at, at + KEY_BYTES))
      }
    }
  }
  expect(new Set(keys).size).toBe(keys.length)
  return keys
}

const expectSound = async ({ a, b }: LinkPair): Promise<void> => {
  await eventually(async () => {
    const [one, two] = [await a.store.readLink(LINK_ID), await b.store.readLink(LINK_ID)]
    return JSON.stringify(one.lanes) === JSON.stringify(two.lanes)
  }, 'equal lanes')
  for (const { store, fatal } of [a, b]) {
    const { counters, rows } = await store.recountLedger(LINK_ID)
    expect(ledgerDifference(counters)).toBe(0)
    const { unverified, ownLane, otherLane, granted, held } = counters.bytes
    expect({ unverified, ownLane, otherLane, granted, held }).toEqual(rows)
    expect(fatal).toEqual([])
  }
}

describe('grants between two KMEs', () => {
  test('an end that draws alone gets nearly all of both lanes, and the other goes on with new blocks', async () => {
    await using pair = await makeLinkPair()
    const { a, b } = pair
    await pushBoth(pair, '1', 200_000)
    await eventually(() => keysAt(a) > 3000 && keysAt(b) > 3000, 'keys')
    const keys = await drain(a, b, 64)
    expect(keys.length * KEY_BYTES).toBeGreaterThan(200_000 - 2 * 4096 - 32)
    // The other end has kept what it needs to be in business.
    expect(await draw(b, a, 1)).not.toBeNull()
    await pushBoth(pair, '2', 50_000)
    await eventually(() => keysAt(b) > 700, 'new keys')
    const others = await drain(b, a, 64)
    expect(others.length * KEY_BYTES).toBeGreaterThan(25_000)
    expect(new Set([...keys, ...others]).size).toBe(keys.length + others.length)
    await expectSound(pair)
  })

  test('an end in use keeps what it expects to use', async () => {
    await using pair = await makeLinkPair()
    const { a, b } = pair
    await pushBoth(pair, '1', 400_000)
    await eventually(() => keysAt(a) > 6000 && keysAt(b) > 6000, 'keys')
    for (let i = 0; i < 16; i += 1) expect(await draw(b, a, 64)).not.toBeNull()
    const before = keysAt(b) * KEY_BYTES
    await drain(a, b, 64)
    const kept = keysAt(b) * KEY_BYTES
    expect(kept).toBeLessThan(before)
    expect(kept).toBeGreaterThan(65_536)
    await expectSound(pair)
  })

  test('are found again by either end after a start, also one that was never answered', async () => {
    await using pair = await makeLinkPair()
    const { a, b } = pair
    await pushBoth(pair, '1', 100_000)
    await eventually(() => keysAt(a) > 1500 && keysAt(b) > 1500, 'keys')
    // B's grants do not arrive.
    b.wire.faults.pass = (messages) => messages.every(({ kind }) => kind !== 'grant')
    while ((await draw(a, b, 64)) !== null);
    while ((await draw(a, b, 1)) !== null);
    await eventually(
      async () => (await b.store.listPendingGrants(LINK_ID, 9)).length > 0,
      'a grant',
    )
    b.wire.faults.pass = () => true
    await restart(b, a)
    await agreed(a, b)
    await eventually(() => keysAt(a) > 0, 'the grant')
    const granted = keysAt(a)
    await restart(a, b)
    await agreed(a, b)
    expect(keysAt(a)).toBeGreaterThanOrEqual(granted)
    const keys = await drain(a, b, 16)
    expect(keys.length).toBeGreaterThan(granted)
    await expectSound(pair)
  })

  test('keep the sets of ranges short over thousands of deliveries on both sides', async () => {
    await using pair = await makeLinkPair()
    const { a, b } = pair
    let longest = 0
    for (let round = 0; round < 40; round += 1) {
      await pushBoth(pair, String(round), 40_000)
      await eventually(() => keysAt(a) + keysAt(b) > 800, 'keys')
      const [many, few] = round % 5 === 4 ? [b, a] : [a, b]
      for (let i = 0; i < 60; i += 1) {
        await draw(many, few, 1 + ((round * 7 + i) % 13))
        if (i % 6 === 0) await draw(few, many, 1)
      }
      const { lanes } = await a.store.readLink(LINK_ID)
      for (const { consumed, granted } of Object.values(lanes)) {
        longest = Math.max(longest, consumed.length, granted.length)
      }
    }
    expect(longest).toBeLessThan(40)
    await expectSound(pair)
  })

  test('an owner answers each ask, and gives nothing while the former grant is not acknowledged', async () => {
    await using pair = await makeLinkPair()
    const { a, b } = pair
    await pushBoth(pair, '1', 100_000)
    await eventually(() => keysAt(a) > 1500 && keysAt(b) > 1500, 'keys')
    b.wire.faults.pass = (messages) => messages.every(({ kind }) => kind !== 'grant')
    const { snapshot } = a.link
    if (!snapshot.epoch) throw new Error('no epoch')
    const stamp = {
      epoch: snapshot.epoch,
      senderLife: snapshot.life,
      receiverLife: b.link.snapshot.life,
      commitCounter: snapshot.commitCounter,
    }
    for (let i = 0; i < 3; i += 1) {
      const answers = await b.link.receive(stamp, [{ kind: 'want', lengthBytes: 10_000 }])
      expect(answers).toEqual([{ result: 'done' }])
    }
    expect(await b.store.listPendingGrants(LINK_ID, 9)).toHaveLength(1)
    const late = { ...stamp, senderLife: stamp.senderLife - 1 }
    expect(await b.link.receive(late, [{ kind: 'want', lengthBytes: 10_000 }])).toEqual([
      { result: 'retry' },
    ])
  })
})

describe('what was used lately', () => {
  test('counts the less the longer ago it was', () => {
    const use = new UseRate()
    expect(use.bytes(0)).toBe(0)
    for (let second = 0; second < 600; second += 1) use.add(1000, second * 1000)
    expect(use.bytes(600_000)).toBeGreaterThan(55_000)
    expect(use.bytes(600_000)).toBeLessThan(65_000)
    expect(use.bytes(660_000)).toBeLessThan(25_000)
    expect(use.bytes(1_600_000)).toBeLessThan(1)
  })
})
