import { expect, test } from '@jest/globals'
import { storeInParts } from '../../src/links/offer-parts.ts'
import type { KeyBlock } from '../../src/ports/qkd-driver.ts'

const CHECKPOINT = Buffer.from('here')
const blockOf = (vendorId: string, kib: number): KeyBlock => ({
  ref: { deviceId: 'q', streamId: 's', vendorId },
  material: Buffer.alloc(kib * 1024),
  provenance: 'simulated',
})

/** The parts that were stored, and the outcomes that came of them. */
const storing = async (blocks: readonly KeyBlock[], failAt = Infinity) => {
  const parts: { ids: string[]; checkpoint: Buffer | null }[] = []
  const outcomes = storeInParts(blocks, CHECKPOINT, async (part, checkpoint) => {
    if (parts.length === failAt) throw new Error('disk full')
    parts.push({ ids: part.map(({ ref }) => ref.vendorId), checkpoint })
    return part.map(() => 'stored')
  })
  return { parts, outcomes: await outcomes.catch(() => null) }
}

test('an offer of little key is stored in one go', async () => {
  const blocks = ['1', '2', '3'].map((id) => blockOf(id, 64))
  expect(await storing(blocks)).toEqual({
    parts: [{ ids: ['1', '2', '3'], checkpoint: CHECKPOINT }],
    outcomes: ['stored', 'stored', 'stored'],
  })
})

test('an offer of much key is stored in parts, the checkpoint with the last', async () => {
  const blocks = [blockOf('1', 1024), blockOf('2', 128), blockOf('3', 128), blockOf('4', 1)]
  const { parts, outcomes } = await storing(blocks)
  expect(parts).toEqual([
    { ids: ['1'], checkpoint: null },
    { ids: ['2', '3'], checkpoint: null },
    { ids: ['4'], checkpoint: CHECKPOINT },
  ])
  expect(outcomes).toHaveLength(4)
})

test('an offer without blocks stores its checkpoint', async () => {
  expect((await storing([])).parts).toEqual([{ ids: [], checkpoint: CHECKPOINT }])
})

test('an offer that fails half way has stored no checkpoint', async () => {
  const { parts, outcomes } = await storing([blockOf('1', 1024), blockOf('2', 1024)], 1)
  expect(outcomes).toBeNull()
  expect(parts).toEqual([{ ids: ['1'], checkpoint: null }])
})
