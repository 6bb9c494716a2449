import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import type { LinkView } from '../../src/admin/client.ts'
import { patiently } from '../helpers/patiently.ts'
import { isBalanced } from './books.ts'
import { drawAll, fetchAll } from './draining.ts'
import {
  type PushedBlock,
  type PushedKme,
  type PushedPair,
  startPushedPair,
} from './pushed-pair.ts'
import { hasRepeatedWindow } from './repeated-window.ts'

const LONG_MS = 120_000
const BLOCK_BYTES = 256
const BLOCKS = 1000
/** In the middle of its batch, and past what a look at the beginning of a block would find. */
const BAD_BLOCK = 517
const BAD_BYTE = 200
/** A proof of equality spends this much key, and halving a thousand blocks takes two for each half. */
const PROOF_BYTES = 32
const MOST_PROOFS = 2 * 10 + 10

const blocksOf = (count: number, name: string): readonly PushedBlock[] =>
  Array.from({ length: count }, (_, i) => ({
    vendorId: `${name}-${i}`,
    material: randomBytes(BLOCK_BYTES),
  }))

const copyOf = ({ vendorId, material }: PushedBlock): PushedBlock => ({
  vendorId,
  material: Buffer.from(material),
})

const startPair = (): Promise<PushedPair> =>
  startPushedPair({ device: { settleS: 1 }, link: { confirmDeadlineMs: 30_000 } })

/** All keys of both directions, each compared at both ends. */
const deliverAll = async ({ a, b }: PushedPair): Promise<readonly Buffer[]> => {
  const keys: Buffer[] = []
  for (const [from, masterId, to, slaveId] of [
    [a.site, 'sae-a', b.site, 'sae-b'],
    [b.site, 'sae-b', a.site, 'sae-a'],
  ] as const) {
    const drawn = await drawAll({ site: from, masterId, slaveId })
    const fetched = await fetchAll(to, slaveId, masterId, drawn)
    expect(fetched.length).toBe(drawn.length)
    expect(fetched.every(({ key }, i) => key.equals(drawn[i]?.key ?? Buffer.alloc(0)))).toBe(true)
    keys.push(...drawn.map(({ key }) => key))
  }
  return keys
}

const linkWhere = async (
  kme: PushedKme,
  holds: (link: LinkView) => boolean,
  what: string,
): Promise<LinkView> =>
  patiently(async () => {
    const link = await kme.site.link()
    return holds(link) ? link : null
  }, `${what} at ${kme.site.kmeId}`)

const verified = ({ ledger }: LinkView): boolean =>
  ledger.receivedBytes > 0 && ledger.bytes.unverified === 0

describe('a block that differs at the two ends', () => {
  let pair: PushedPair
  beforeAll(async () => {
    pair = await startPair()
  }, LONG_MS)
  afterAll(() => pair.stop(), LONG_MS)

  test(
    'one of a thousand, with one bit past its first 64 bytes, is found; it alone is quarantined, and no key of it is delivered',
    async () => {
      const blocks = blocksOf(BLOCKS, 'block')
      const others = blocks.map(copyOf)
      const here = blocks[BAD_BLOCK]?.material ?? Buffer.alloc(0)
      const there = others[BAD_BLOCK]?.material ?? Buffer.alloc(0)
      there.writeUInt8(there.readUInt8(BAD_BYTE) ^ 1, BAD_BYTE)
      await Promise.all([pair.a.push(...blocks), pair.b.push(...others)])

      for (const kme of [pair.a, pair.b]) {
        const link = await linkWhere(kme, verified, 'a verdict on all blocks')
        expect(link.ledger.receivedBytes).toBe(BLOCKS * BLOCK_BYTES)
        expect(isBalanced(link)).toBe(true)
        // Of the one block, but for what it gave to the proofs that found it; all the rest is there.
        const { quarantined, ownLane, otherLane, granted, sacrificed } = link.ledger.bytes
        expect(quarantined).toBeGreaterThan(BAD_BYTE - 3 * PROOF_BYTES)
        expect(quarantined).toBeLessThanOrEqual(BLOCK_BYTES)
        expect(sacrificed).toBeLessThanOrEqual(PROOF_BYTES * MOST_PROOFS)
        expect(ownLane + otherLane + granted + quarantined + sacrificed).toBe(BLOCKS * BLOCK_BYTES)
        const alarms = await kme.site.admin.alarms()
        expect(alarms.map(({ name }) => name)).toContain('blocks-differ')
      }

      const { ledger } = await pair.a.site.link()
      const keys = await deliverAll(pair)
      const delivered = keys.reduce((sum, { length }) => sum + length, 0)
      const { ownLane, otherLane, granted } = ledger.bytes
      // To the last key that fits, and none of the bad block is among them.
      expect(ownLane + otherLane + granted - delivered).toBeLessThan(2 * 8)
      expect(hasRepeatedWindow([...keys, here])).toBe(false)
      expect(hasRepeatedWindow([...keys, there])).toBe(false)
    },
    LONG_MS,
  )
})

describe('a block that only one end got', () => {
  let pair: PushedPair
  beforeAll(async () => {
    pair = await startPair()
  }, LONG_MS)
  afterAll(() => pair.stop(), LONG_MS)

  test.each(['a', 'b'] as const)(
    'at KME %s is dropped there after the settle time and counted as a gap at the other, and no key of it is delivered',
    async (end) => {
      const [has, lacks] = end === 'a' ? [pair.a, pair.b] : [pair.b, pair.a]
      const before = { has: await has.site.link(), lacks: await lacks.site.link() }
      const blocks = blocksOf(20, `lost-${end}`)
      const [lost, ...rest] = blocks
      if (!lost) throw new TypeError('no block')
      await Promise.all([has.push(...blocks), lacks.push(...rest.map(copyOf))])

      const { dropped } = before.has.ledger.bytes
      const after = await linkWhere(
        has,
        ({ ledger }) =>
          ledger.bytes.dropped === dropped + BLOCK_BYTES && ledger.bytes.unverified === 0,
        'a dropped block',
      )
      expect(isBalanced(after)).toBe(true)
      const other = await linkWhere(
        lacks,
        ({ ledger }) => ledger.gapBlocks === before.lacks.ledger.gapBlocks + 1,
        'a gap',
      )
      expect(other.ledger.gapBytes - before.lacks.ledger.gapBytes).toBe(BLOCK_BYTES)
      expect(other.ledger.bytes.quarantined).toBe(0)
      expect(isBalanced(other)).toBe(true)

      // It comes after all, too late: both ends have agreed that it is gone.
      await lacks.push(copyOf(lost))
      const keys = await deliverAll(pair)
      expect(keys.length).toBeGreaterThan(0)
      expect(hasRepeatedWindow([...keys, lost.material])).toBe(false)
    },
    LONG_MS,
  )
})
