import { randomBytes } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import type { Database } from 'better-sqlite3'
import type { BlockRow, DeliveryRow, StoreBackend } from '../../src/stores/store-tx.ts'
import { CHUNK_BYTES } from '../../src/stores/store-tx.ts'
import { Store } from '../../src/stores/store.ts'
import { systemRandom } from '../../src/support/system-clock.ts'
import type { SqliteFixture } from './sqlite-fixture.ts'
import { chunkKey, deliveryAt, makeSqliteFixture } from './sqlite-fixture.ts'

const corrupt = expect.objectContaining({ code: 'STORE_CORRUPT' })

const SEALED_TABLES = ['chunk', 'delivery_group', 'block_material', 'fingerprint_key'] as const

const sealedBlobs = (db: Database): Buffer[] =>
  SEALED_TABLES.flatMap((table) =>
    (db.prepare(`SELECT sealed FROM ${table}`).all() as { sealed: Buffer }[]).map((r) => r.sealed),
  )

const withStore = async <T>(
  fixture: SqliteFixture,
  work: (store: StoreBackend) => T | Promise<T>,
): Promise<T> => {
  const store = await fixture.open()
  try {
    return await work(store)
  } finally {
    await store.close()
  }
}

const BLOCK: Omit<BlockRow, 'seq'> = {
  linkId: 'a-b',
  ref: { deviceId: 'qkd', streamId: 's', vendorId: '1' },
  lengthBytes: 5000,
  state: 'unverified',
  announced: false,
  matched: false,
  suspect: false,
  spentBytes: 0,
  receivedMs: 12.5,
  end: 'leader',
  fingerprint: Buffer.alloc(8, 1),
}

/** Every kind of sealed row, all holding `bytes`. */
const writeAll = async (
  store: StoreBackend,
  bytes: Buffer,
): Promise<{ block: BlockRow; delivery: DeliveryRow }> =>
  store.transact((tx) => {
    tx.writeChunk(chunkKey(0), bytes)
    tx.writeFingerprintKey('a-b', bytes)
    const block = tx.insertBlock(BLOCK, bytes)
    const delivery = tx.insertDelivery(deliveryAt(0, bytes.length))
    tx.writeHeld(delivery, bytes)
    return { block, delivery }
  })

/** Places where any 16 bytes in a row of `wanted` lie in `files`. */
const remains = (files: Buffer, wanted: readonly Buffer[]): number => {
  const windows = new Set<string>()
  for (const bytes of wanted) {
    for (let i = 0; i + 16 <= bytes.length; i += 16)
      windows.add(bytes.toString('latin1', i, i + 16))
  }
  let found = 0
  for (let i = 0; i + 16 <= files.length; i += 1) {
    if (windows.has(files.toString('latin1', i, i + 16))) found += 1
  }
  return found
}

describe('sealed rows', () => {
  test('hold no plaintext in any file, and open again in later lives', async () => {
    await using fixture = await makeSqliteFixture()
    const canary = randomBytes(CHUNK_BYTES)
    const store = await fixture.open()
    const { block, delivery } = await writeAll(store, canary)
    expect(remains(fixture.readFiles(), [canary])).toBe(0)
    await store.close()
    expect(remains(fixture.readFiles(), [canary])).toBe(0)
    await withStore(fixture, (next) =>
      next.transact((tx) => {
        expect(tx.readChunk(chunkKey(0))).toEqual(canary)
        expect(tx.readFingerprintKey('a-b')).toEqual(canary)
        expect(tx.readMaterial(block)).toEqual(canary)
        expect(tx.readHeld(delivery)).toEqual(canary)
      }),
    )
  })

  test('are refused with any bit flipped, and leave the rest of the transaction usable', async () => {
    await using fixture = await makeSqliteFixture()
    const rows = await withStore(fixture, (store) => writeAll(store, randomBytes(200)))
    for (const table of SEALED_TABLES) {
      fixture.edit((db) => {
        const { sealed } = db.prepare(`SELECT sealed FROM ${table}`).get() as { sealed: Buffer }
        sealed[sealed.length >> 1]! ^= 0x10
        db.prepare(`UPDATE ${table} SET sealed = ?`).run(sealed)
      })
    }
    await withStore(fixture, (store) =>
      store.transact((tx) => {
        expect(() => tx.savepoint(() => tx.readChunk(chunkKey(0)))).toThrow(corrupt)
        expect(() => tx.savepoint(() => tx.readFingerprintKey('a-b'))).toThrow(corrupt)
        expect(() => tx.savepoint(() => tx.readMaterial(rows.block))).toThrow(corrupt)
        expect(() => tx.savepoint(() => tx.readHeld(rows.delivery))).toThrow(corrupt)
        tx.writeRunningMs(5.5)
      }),
    )
    const meta = await withStore(fixture, (store) => store.transact((tx) => tx.readMeta()))
    expect(meta.runningMs).toBe(5.5)
  })

  test('are refused when two chunks change places, or a chunk goes to another link', async () => {
    await using fixture = await makeSqliteFixture()
    await withStore(fixture, (store) =>
      store.transact((tx) => {
        for (const link of ['a-b', 'a-c']) {
          for (const n of [0, 1]) tx.writeChunk(chunkKey(n, link), randomBytes(CHUNK_BYTES))
        }
      }),
    )
    const swap = (first: number, second: number): void => {
      fixture.edit((db) => {
        const ids = (db.prepare('SELECT id FROM chunk ORDER BY id').all() as { id: number }[]).map(
          (r) => r.id,
        )
        const move = db.prepare('UPDATE chunk SET id = ? WHERE id = ?')
        for (const [to, from] of [
          [-1, ids[first]!],
          [ids[first]!, ids[second]!],
          [ids[second]!, -1],
        ]) {
          move.run(to, from)
        }
      })
    }
    for (const [first, second] of [
      [0, 1],
      [0, 2],
    ] as const) {
      swap(first, second)
      await withStore(fixture, async (store) => {
        await expect(store.transact((tx) => tx.readChunk(chunkKey(0)))).rejects.toThrow(corrupt)
      })
      swap(first, second)
      await withStore(fixture, (store) => store.transact((tx) => tx.readChunk(chunkKey(0))))
    }
  })

  test('are refused when a former version is put back in their place', async () => {
    await using fixture = await makeSqliteFixture()
    const write = (fill: number): Promise<void> =>
      withStore(fixture, (store) =>
        store.transact((tx) => {
          tx.writeChunk(chunkKey(0), Buffer.alloc(CHUNK_BYTES, fill))
          // Keeps the first life's data key in the store, so that only the version can tell.
          tx.writeChunk(chunkKey(10 + fill), Buffer.alloc(1))
        }),
      )
    await write(1)
    const former = fixture.edit((db) =>
      db.prepare('SELECT sealed FROM chunk ORDER BY id').get(),
    ) as {
      sealed: Buffer
    }
    await write(2)
    fixture.edit((db) =>
      db
        .prepare('UPDATE chunk SET sealed = ? WHERE id = (SELECT min(id) FROM chunk)')
        .run(former.sealed),
    )
    await withStore(fixture, async (store) => {
      await expect(store.transact((tx) => tx.readChunk(chunkKey(0)))).rejects.toThrow(corrupt)
    })
  })

  test('never share a nonce under one data key, over lives that crash or close', async () => {
    await using fixture = await makeSqliteFixture()
    const seen = new Set<string>()
    for (let life = 0; life < 4; life += 1) {
      await withStore(fixture, (store) =>
        store.transact((tx) => {
          for (let n = 0; n < 20; n += 1)
            tx.writeChunk(chunkKey(life * 20 + n), Buffer.alloc(100, n))
        }),
      )
    }
    const blobs = fixture.edit(sealedBlobs)
    for (const sealed of blobs) seen.add(sealed.toString('hex', 0, 10))
    expect(blobs).toHaveLength(80)
    expect(seen.size).toBe(80)
    const dataKeys = new Set(blobs.map((sealed) => sealed.readUInt32BE(0)))
    expect(dataKeys.size).toBe(4)
  })

  test('let go of a data key while the store is in use, once no row needs it', async () => {
    await using fixture = await makeSqliteFixture()
    const [kept, left] = [chunkKey(0), chunkKey(1)]
    for (const [key, fill] of [
      [kept, 1],
      [left, 2],
    ] as const) {
      await withStore(fixture, (store) =>
        store.transact((tx) => {
          tx.writeChunk(key, Buffer.alloc(9, fill))
        }),
      )
    }
    const wrapped = fixture.edit((db) =>
      (db.prepare('SELECT wrapped FROM data_key ORDER BY id').all() as { wrapped: Buffer }[]).map(
        (row) => row.wrapped,
      ),
    )
    expect(wrapped).toHaveLength(2)
    const remaining = (): readonly boolean[] =>
      wrapped.map((one) => fixture.readFiles().includes(one))
    const backend = await fixture.open()
    const store = new Store(backend, systemRandom)
    await store.saveRunningTime(1)
    expect(remaining()).toEqual([true, true])
    await backend.transact((tx) => {
      tx.deleteChunk(left)
    })
    // Its own, of which there is no row yet, stays.
    await store.saveRunningTime(2)
    await backend.transact((tx) => {
      tx.writeChunk(chunkKey(2), Buffer.alloc(9, 3))
    })
    // Undone, it is not let go of.
    await expect(
      backend.transact((tx) => {
        tx.deleteChunk(kept)
        tx.dropUnusedKeys()
        throw new Error('undo')
      }),
    ).rejects.toThrow('undo')
    await store.close()
    expect(remaining()).toEqual([true, false])
    await withStore(fixture, (next) =>
      next.transact((tx) => {
        expect(tx.readChunk(kept)).toEqual(Buffer.alloc(9, 1))
        expect(tx.readChunk(chunkKey(2))).toEqual(Buffer.alloc(9, 3))
      }),
    )
  })

  test('keep their data keys, and data keys that no row needs are dropped at the next start', async () => {
    await using fixture = await makeSqliteFixture()
    const listKeys = (): number[] =>
      fixture.edit((db) =>
        (db.prepare('SELECT id FROM data_key ORDER BY id').all() as { id: number }[]).map(
          (r) => r.id,
        ),
      )
    await withStore(fixture, (store) =>
      store.transact((tx) => {
        tx.writeChunk(chunkKey(0), Buffer.alloc(9))
      }),
    )
    await withStore(fixture, () => {})
    await withStore(fixture, () => {})
    expect(listKeys()).toEqual([1, 3])
    await withStore(fixture, (store) =>
      store.transact((tx) => {
        tx.deleteChunk(chunkKey(0))
      }),
    )
    await withStore(fixture, () => {})
    expect(listKeys()).toEqual([5])
  })
})

describe('erasure', () => {
  test('leaves nothing of what was replaced or deleted in any file after the checkpoint', async () => {
    await using fixture = await makeSqliteFixture()
    const sizes = [32, 64, 700, 2000, CHUNK_BYTES, 9000]
    const rows = await withStore(fixture, (store) =>
      store.transact((tx) => {
        for (let n = 0; n < 60; n += 1) tx.writeChunk(chunkKey(n), randomBytes(CHUNK_BYTES))
        return Array.from({ length: 120 }, (_, n) => {
          const lengthBytes = sizes[n % sizes.length]!
          const row = tx.insertDelivery(deliveryAt(n * 10_000, lengthBytes))
          tx.writeHeld(row, randomBytes(lengthBytes))
          return row
        })
      }),
    )
    const before = fixture.edit(sealedBlobs)
    expect(remains(fixture.readFiles(), before)).toBeGreaterThan(10_000)
    await withStore(fixture, (store) =>
      store.transact((tx) => {
        for (let n = 0; n < 60; n += 1) {
          const chunk = tx.readChunk(chunkKey(n))!
          if (n % 3 === 0) tx.deleteChunk(chunkKey(n))
          else tx.writeChunk(chunkKey(n), chunk.fill(0, 0, 1000 + n))
        }
        for (const [n, row] of rows.entries()) {
          if (n % 2 === 0) tx.deleteDelivery(row.seq)
          else tx.writeHeld(row, tx.readHeld(row)!.fill(0, 0, 16))
        }
      }),
    )
    expect(
      remains(
        fixture.readFiles(),
        before.map((sealed) => sealed.subarray(10)),
      ),
    ).toBe(0)
  })

  test('takes delivered bytes from all that the KEK can open', async () => {
    await using fixture = await makeSqliteFixture()
    const lane = randomBytes(CHUNK_BYTES)
    await withStore(fixture, (store) =>
      store.transact((tx) => {
        tx.writeChunk(chunkKey(0), lane)
      }),
    )
    const rest = Buffer.from(lane).fill(0, 0, 320)
    await withStore(fixture, (store) =>
      store.transact((tx) => {
        tx.writeChunk(chunkKey(0), rest)
      }),
    )
    const opened = await withStore(fixture, (store) =>
      store.transact((tx) => tx.readChunk(chunkKey(0))!),
    )
    expect(remains(opened, [lane.subarray(0, 320)])).toBe(0)
    expect(opened.subarray(320)).toEqual(lane.subarray(320))
  })
})

describe('a chunk of a lane', () => {
  test('lies in one page, without overflow', async () => {
    await using fixture = await makeSqliteFixture()
    await withStore(fixture, (store) =>
      store.transact((tx) => {
        for (let n = 0; n < 200; n += 1) tx.writeChunk(chunkKey(n), randomBytes(CHUNK_BYTES))
      }),
    )
    const pages = fixture.edit((db) =>
      db
        .prepare(
          "SELECT pagetype, count(*) AS n FROM dbstat WHERE name = 'chunk' GROUP BY pagetype",
        )
        .all(),
    )
    expect(pages).toContainEqual({ pagetype: 'leaf', n: 200 })
    expect(pages).not.toContainEqual(expect.objectContaining({ pagetype: 'overflow' }))
  })
})
