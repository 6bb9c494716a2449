import { createCipheriv, randomBytes } from 'node:crypto'
import { copyFileSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import SQLite from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { Envelope } from '../../src/sealing/envelope.ts'
import { openFileSealing } from '../../src/sealing/file-sealing.ts'
import { openSqliteStore } from '../../src/stores/sqlite/sqlite-store.ts'
import { CHUNK_BYTES } from '../../src/stores/store-tx.ts'
import { systemRandom } from '../../src/support/system-clock.ts'
import type { End } from '../contracts/store-ends.ts'
import { Ends, at, blockOf, confirmOf, IDS } from '../contracts/store-ends.ts'
import { patiently } from '../helpers/patiently.ts'
import type { SqliteFixture } from './sqlite-fixture.ts'
import { chunkKey, makeSqliteFixture } from './sqlite-fixture.ts'

const LONG_MS = 60_000
const SEALED_TABLES = [
  'block_material',
  'fingerprint_key',
  'chunk',
  'delivery_group',
  'redelivery_material',
] as const
const HEADER_BYTES = 10
const TAG_BYTES = 16
const WINDOW_BYTES = 16

let seals: jest.SpiedFunction<Envelope['seal']>
beforeEach(() => {
  seals = jest.spyOn(Envelope.prototype, 'seal')
})
afterEach(() => {
  seals.mockRestore()
})

/** Every sealed form that any store has made since the test began, kept or not. */
const made = (): readonly Buffer[] =>
  seals.mock.results.map(({ type, value }) => {
    if (type !== 'return') throw new Error('a seal failed')
    return value
  })

/** Whether 16 bytes in a row of one of `wanted` lie in `bytes`, at any offset of `bytes`. */
const remains = (bytes: Buffer, wanted: readonly Buffer[]): number => {
  const windows = new Set<string>()
  for (const one of wanted) {
    for (let i = 0; i + WINDOW_BYTES <= one.length; i += WINDOW_BYTES) {
      windows.add(one.toString('latin1', i, i + WINDOW_BYTES))
    }
  }
  let found = 0
  for (let i = 0; i + WINDOW_BYTES <= bytes.length; i += 1) {
    if (windows.has(bytes.toString('latin1', i, i + WINDOW_BYTES))) found += 1
  }
  return found
}

/** What somebody has who took the files of a running store, and the KEK. */
interface Loot {
  readonly files: Buffer
  /** Sealed forms in rows. */
  readonly live: readonly Buffer[]
  readonly dataKeys: ReadonlyMap<number, Buffer>
}

const take = async (fixture: SqliteFixture): Promise<Loot> => {
  const { path, kekFile } = fixture
  const files = fixture.readFiles()
  const directory = mkdtempSync(join(tmpdir(), 'keyspring taken '))
  const sealing = await openFileSealing(kekFile, { random: systemRandom })
  try {
    const copy = join(directory, 'store.db')
    for (const end of ['', '-wal']) copyFileSync(`${path}${end}`, `${copy}${end}`)
    const db = new SQLite(copy)
    const { store_id } = db.prepare('SELECT store_id FROM store').get() as { store_id: string }
    const rows = db.prepare('SELECT * FROM data_key').all() as {
      id: number
      kek_id: string
      wrapped: Buffer
    }[]
    const dataKeys = new Map<number, Buffer>()
    for (const { id, kek_id, wrapped } of rows) {
      const context = `data key ${id} of store ${store_id}`
      dataKeys.set(id, await sealing.unwrap(kek_id, wrapped, context))
    }
    const live = SEALED_TABLES.flatMap((table) =>
      (
        db.prepare(`SELECT sealed FROM ${table} WHERE sealed IS NOT NULL`).all() as {
          sealed: Buffer
        }[]
      ).map(({ sealed }) => sealed),
    )
    db.close()
    return { files, live, dataKeys }
  } finally {
    sealing.close()
    rmSync(directory, { recursive: true })
  }
}

/** What the key makes of sealed bytes, whole or not: nobody who attacks asks for the tag. */
const decrypt = (key: Buffer, sealed: Buffer): Buffer => {
  const iv = Buffer.alloc(16)
  sealed.copy(iv, 6, 4, HEADER_BYTES)
  iv.writeUInt32BE(2, 12)
  return createCipheriv('aes-256-ctr', key, iv).update(sealed.subarray(HEADER_BYTES))
}

/** All that opens: each row, and whatever else in the files begins as a sealed form does. */
const openAll = ({ files, live, dataKeys }: Loot): Buffer => {
  const opened = live.flatMap((sealed) => {
    const key = dataKeys.get(sealed.readUInt32BE(0))
    return key ? [decrypt(key, sealed.subarray(0, -TAG_BYTES))] : []
  })
  for (const [id, key] of dataKeys) {
    // The first two bytes of a counter that is none of billions.
    const head = Buffer.alloc(6)
    head.writeUInt32BE(id)
    for (let from = files.indexOf(head); from >= 0; from = files.indexOf(head, from + 1)) {
      if (files.readUInt32BE(from + 6) > seals.mock.results.length) continue
      opened.push(decrypt(key, files.subarray(from, from + CHUNK_BYTES)))
    }
  }
  return Buffer.concat(opened)
}

/** The timer of a store that is in use does it, some seconds after a commit. */
const checkpointed = ({ path }: SqliteFixture): Promise<unknown> =>
  patiently(async () => statSync(`${path}-wal`).size === 0, 'the checkpoint of the timer')

const deadIn = ({ live }: Loot): readonly Buffer[] => {
  const kept = new Set(live.map((sealed) => sealed.toString('latin1')))
  return made()
    .filter((sealed) => !kept.has(sealed.toString('latin1')))
    .map((sealed) => sealed.subarray(HEADER_BYTES))
}

const openStore = ({ path, sealing }: SqliteFixture) =>
  openSqliteStore({ path, sealing, random: systemRandom })

/** One delivery of so many keys at the verifier, for both SAEs of the follower. */
const deliver = async (
  { verifier, follower }: Ends,
  ends: Ends,
  shape: { readonly keyCount: number; readonly timeToLiveMs: number },
): Promise<{ readonly deliveryId: Buffer; readonly keyCount: number; readonly bytes: Buffer }> => {
  const delivery = verifier.delivery(await verifier.nextFree(), shape)
  const remoteSlaves = follower.saes
  const created = { delivery, localSlaves: [], remoteSlaves, remoteKmeId: IDS.follower }
  const [bytes] = await verifier.commit([created])
  await ends.confirm(verifier, [confirmOf(delivery, remoteSlaves)])
  return { deliveryId: delivery.deliveryId, keyCount: shape.keyCount, bytes: Buffer.from(bytes!) }
}

const fetchAll = async (
  { store, saes }: End,
  { deliveryId, keyCount }: { readonly deliveryId: Buffer; readonly keyCount: number },
  redeliveryWindowMs: number,
): Promise<void> => {
  const keys = Array.from({ length: keyCount }, (_, index) => ({ deliveryId, index }))
  for (const sae of saes) {
    const request = {
      sae,
      masterSaeId: 'verifier-1',
      keys,
      redeliveryWindowMs: () => redeliveryWindowMs,
    }
    expect((await store.fetchKeys(request, at(1))).outcome).toBe('fetched')
  }
}

describe('a store in use, some seconds after it was written to', () => {
  test(
    'has nothing of what was delivered, fetched, expired or quarantined in any file, also for one who has the KEK',
    async () => {
      await using one = await makeSqliteFixture()
      await using two = await makeSqliteFixture()
      const stores = [await openStore(one), await openStore(two)] as const
      const ends = await Ends.greeted(...stores)
      const { verifier, follower } = ends
      for (let n = 0; n < 5; n += 1) await ends.fill(40_000, `block ${n}`)
      // The ends differ in this one: both quarantine it.
      const differing = ['ours', 'theirs'].map((content) => blockOf('odd', 64, content))
      const odd = differing.map(({ material }) => Buffer.from(material))
      for (const [i, end] of ends.both.entries()) await end.offer([differing[i]!])
      await ends.announceBoth()
      await ends.runBatch()
      expect((await verifier.ledger()).bytes.quarantined).toBeGreaterThan(0)

      // From less than a chunk to more than a page, so that held bytes lie in overflow pages too.
      const gone: Buffer[] = [...odd]
      for (const keyCount of [1, 7, 128, 200, 3]) {
        const fetched = await deliver(ends, ends, { keyCount, timeToLiveMs: 1000 })
        await fetchAll(follower, fetched, keyCount === 3 ? 0 : 50)
        const expired = await deliver(ends, ends, { keyCount, timeToLiveMs: 60 })
        gone.push(fetched.bytes, expired.bytes)
      }
      const held = await deliver(ends, ends, { keyCount: 5, timeToLiveMs: 1_000 })
      // While it is in the WAL, it is in a file: what is looked for can be found.
      const before = await take(two).then((loot) => remains(loot.files, deadIn(loot)))
      expect(before).toBeGreaterThan(100)
      // Five that expired, and the answers to eight fetches whose window is over.
      expect(await follower.store.expireDeliveries(at(70), 100)).toBe(13)

      for (const fixture of [one, two]) await checkpointed(fixture)
      for (const fixture of [one, two]) {
        const loot = await take(fixture)
        const dead = deadIn(loot)
        expect(dead.length).toBeGreaterThan(20)
        expect(loot.live.length).toBeGreaterThan(5)
        expect(remains(loot.files, [...dead, ...gone])).toBe(0)
        const opened = openAll(loot)
        expect(remains(opened, gone)).toBe(0)
        // What is still to be fetched opens, of course: the key is the right one.
        const isFollower = fixture === two
        expect(remains(opened, [held.bytes]) > 0).toBe(isFollower)
      }
      for (const store of stores) await store.close()
    },
    LONG_MS,
  )

  test(
    'has nothing of a part that was rolled back, also where it was too large for the memory',
    async () => {
      await using fixture = await makeSqliteFixture()
      const backend = await fixture.open()
      const MANY = 6000
      await backend.transact((tx) => {
        for (let n = 0; n < 20; n += 1) tx.writeChunk(chunkKey(n), randomBytes(CHUNK_BYTES))
      })
      const undo = new Error('undo')
      await backend.transact((tx) => {
        tx.writeChunk(chunkKey(3), randomBytes(100))
        expect(() =>
          tx.savepoint(() => {
            for (let n = 10; n < MANY; n += 1) tx.writeChunk(chunkKey(n), randomBytes(CHUNK_BYTES))
            throw undo
          }),
        ).toThrow(undo)
        tx.deleteChunk(chunkKey(4))
      })
      await expect(
        backend.transact((tx) => {
          for (let n = 10; n < MANY; n += 1) tx.writeChunk(chunkKey(n), randomBytes(CHUNK_BYTES))
          throw undo
        }),
      ).rejects.toThrow(undo)
      // What SQLite could not keep in memory was in the file.
      expect(statSync(`${fixture.path}-wal`).size).toBeGreaterThan(1000 * CHUNK_BYTES)
      const heads = (): readonly Buffer[] =>
        made().map((sealed) => sealed.subarray(HEADER_BYTES, HEADER_BYTES + 64))
      expect(remains(fixture.readFiles(), heads())).toBeGreaterThan(1000)
      await checkpointed(fixture)
      const loot = await take(fixture)
      expect(loot.live).toHaveLength(19)
      // A chunk lies in one page: of whatever were left of it, there would be all of this.
      const dead = deadIn(loot).map((sealed) => sealed.subarray(0, 64))
      expect(dead.length).toBeGreaterThan(2 * MANY - 100)
      expect(remains(loot.files, dead)).toBe(0)
      await backend.close()
    },
    LONG_MS,
  )
})
