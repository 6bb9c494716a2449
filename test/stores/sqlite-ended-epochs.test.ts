import { randomBytes } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import type { BlockRow } from '../../src/stores/store-tx.ts'
import { chunkKey, makeSqliteFixture, type SqliteFixture } from './sqlite-fixture.ts'

const BLOCK: Omit<BlockRow, 'seq'> = {
  linkId: 'a-b',
  ref: { deviceId: 'qkd', streamId: 's', vendorId: '1' },
  lengthBytes: 500,
  state: 'unverified',
  announced: false,
  matched: false,
  suspect: false,
  spentBytes: 0,
  receivedMs: 1,
  end: 'leader',
  fingerprint: Buffer.alloc(8, 1),
}

const fill = async (fixture: SqliteFixture): Promise<void> => {
  const store = await fixture.open()
  await store.transact((tx) => {
    for (let n = 0; n < 10; n += 1) {
      tx.writeChunk(chunkKey(n), randomBytes(4000))
      const ref = { ...BLOCK.ref, vendorId: String(n) }
      tx.insertBlock({ ...BLOCK, ref }, randomBytes(500))
    }
    tx.writeChunk(chunkKey(0, 'a-c'), randomBytes(4000))
    tx.insertBlock({ ...BLOCK, linkId: 'a-c' }, randomBytes(500))
  })
  await store.close()
}

const sealedIn = (fixture: SqliteFixture): readonly Buffer[] =>
  fixture.edit((db) =>
    db
      .prepare<[], { sealed: Buffer }>(
        'SELECT sealed FROM chunk UNION ALL SELECT sealed FROM block_material',
      )
      .all()
      .map(({ sealed }) => sealed),
  )

/** One step, in a life of its own: as after a crash. */
const step = async (fixture: SqliteFixture, limit: number): Promise<boolean> => {
  const store = await fixture.open()
  const more = await store.transact((tx) => tx.sweepEnded(limit))
  await store.close()
  return more
}

describe('an epoch that has ended', () => {
  test('is gone for all who read at once, and erased from the file step by step, also over crashes', async () => {
    await using fixture = await makeSqliteFixture()
    await fill(fixture)
    const before = sealedIn(fixture)
    expect(before).toHaveLength(22)
    const store = await fixture.open()
    await store.transact((tx) => {
      tx.deleteBlocks('a-b')
      tx.deleteLanes('a-b')
      expect(tx.readChunk(chunkKey(3))).toBeNull()
      expect(tx.findBlock('a-b', BLOCK.ref)).toBeNull()
      expect(tx.sumUnverified('a-b')).toBe(0)
      expect(tx.listUnannounced('a-b', 10)).toEqual([])
      // What comes in the next epoch is not touched.
      tx.insertBlock(BLOCK, randomBytes(500))
      tx.writeChunk({ ...chunkKey(0), epoch: { counter: 2, id: 'f'.repeat(32) } }, randomBytes(9))
    })
    await store.close()
    expect(sealedIn(fixture)).toHaveLength(24)
    let steps = 0
    while (await step(fixture, 4)) steps += 1
    expect(steps).toBe(6)
    expect(sealedIn(fixture)).toHaveLength(4)
    const files = fixture.readFiles()
    expect(before.filter((sealed) => files.includes(sealed.subarray(10)))).toHaveLength(2)
    const next = await fixture.open()
    await next.transact((tx) => {
      expect(tx.listUnannounced('a-b', 10)).toHaveLength(1)
      expect(tx.listUnannounced('a-c', 10)).toHaveLength(1)
      expect(tx.readChunk(chunkKey(0, 'a-c'))).toHaveLength(4000)
    })
    await next.close()
  })
})
