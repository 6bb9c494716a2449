import { randomBytes } from 'node:crypto'
import { copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { openFileSealing } from '../../src/sealing/file-sealing.ts'
import type { KekReplacement } from '../../src/sealing/kek-replacement.ts'
import { beginKekReplacement, finishKekReplacement } from '../../src/sealing/kek-replacement.ts'
import { openSqliteBackend } from '../../src/stores/sqlite/sqlite-backend.ts'
import type { StoreBackend } from '../../src/stores/store-tx.ts'
import { systemRandom } from '../../src/support/system-clock.ts'
import type { SqliteFixture } from './sqlite-fixture.ts'
import { chunkKey, makeSqliteFixture } from './sqlite-fixture.ts'

const random = systemRandom

/** Opens a store with the KEKs that its file holds now. */
const openWith = async (path: string, kekFile: string): Promise<StoreBackend> => {
  const sealing = await openFileSealing(kekFile, { random })
  try {
    return await openSqliteBackend({ path, sealing, random })
  } finally {
    sealing.close()
  }
}

const rewrap = async (store: StoreBackend, kekFile: string): Promise<void> => {
  const sealing = await openFileSealing(kekFile, { random })
  try {
    await store.rewrap!(sealing)
  } finally {
    sealing.close()
  }
}

const write = async (store: StoreBackend, number: number, bytes: Buffer): Promise<void> => {
  await store.transact((tx) => {
    tx.writeChunk(chunkKey(number), bytes)
  })
}

const read = async (store: StoreBackend, number: number): Promise<Buffer | null> =>
  store.transact((tx) => tx.readChunk(chunkKey(number)))

interface KeyRow {
  readonly id: number
  readonly kek_id: string
  readonly wrapped: Buffer
}

const listKeys = (fixture: SqliteFixture): readonly KeyRow[] =>
  fixture.edit((db) => db.prepare<[], KeyRow>('SELECT * FROM data_key ORDER BY id').all())

/** Three data keys that rows need: of two lives that are over, and of the one that is under way. */
const threeLives = async (
  fixture: SqliteFixture,
): Promise<{ store: StoreBackend; chunks: Buffer[]; former: readonly KeyRow[] }> => {
  const chunks = [1, 2, 3].map(() => randomBytes(900))
  for (const n of [0, 1]) {
    const store = await fixture.open()
    await write(store, n, chunks[n]!)
    await store.close()
  }
  const store = await fixture.open()
  await store.close()
  const former = listKeys(fixture)
  const last = await fixture.open()
  await write(last, 2, chunks[2]!)
  return { store: last, chunks, former }
}

describe('a store whose KEK is replaced while it is open', () => {
  test('goes on, and nothing that the former KEK wrapped is in any file once it is done', async () => {
    await using fixture = await makeSqliteFixture()
    const { store, chunks, former } = await threeLives(fixture)
    const lasting = former.slice(0, 2)
    for (const { wrapped } of lasting) expect(fixture.readFiles().includes(wrapped)).toBe(true)
    const formerFile = readFileSync(fixture.kekFile)
    const replacement = await beginKekReplacement(fixture.kekFile, { random })
    await rewrap(store, fixture.kekFile)
    for (const { wrapped } of former) expect(fixture.readFiles().includes(wrapped)).toBe(false)
    for (const [n, chunk] of chunks.entries()) expect(await read(store, n)).toEqual(chunk)
    await write(store, 3, chunks[0]!)
    await finishKekReplacement(fixture.kekFile, replacement)
    await store.close()
    const kekIds = new Set(listKeys(fixture).map((row) => row.kek_id))
    expect([...kekIds]).toEqual([replacement.kekId])

    const next = await openWith(fixture.path, fixture.kekFile)
    for (const [n, chunk] of [...chunks, chunks[0]!].entries())
      expect(await read(next, n)).toEqual(chunk)
    await next.close()
    writeFileSync(fixture.kekFile, formerFile)
    await expect(openWith(fixture.path, fixture.kekFile)).rejects.toMatchObject({
      code: 'SEALING_FAILED',
      message: expect.stringMatching(
        `is wrapped under KEK ${replacement.kekId}, but the KEK file holds ${replacement.formerKekId}`,
      ),
    })
  })

  test('seals under a data key that the former KEK never wrapped', async () => {
    await using fixture = await makeSqliteFixture()
    const { store } = await threeLives(fixture)
    await beginKekReplacement(fixture.kekFile, { random })
    await rewrap(store, fixture.kekFile)
    await write(store, 2, randomBytes(900))
    await store.close()
    const sealed = fixture
      .edit((db) =>
        db.prepare<[], { sealed: Buffer }>('SELECT sealed FROM chunk ORDER BY id').all(),
      )
      .map((row) => row.sealed.readUInt32BE(0))
    expect(sealed[0]).toBe(1)
    expect(sealed[2]).toBe(Math.max(...listKeys(fixture).map(({ id }) => id)))
    // The key of the life under way, of which no row is left, goes at the next start.
    expect(sealed[2]).toBeGreaterThan(4)
  })

  test('may be asked twice at a time, and writes go on meanwhile', async () => {
    await using fixture = await makeSqliteFixture()
    const { store, chunks } = await threeLives(fixture)
    await beginKekReplacement(fixture.kekFile, { random })
    const rewrapping = [rewrap(store, fixture.kekFile), rewrap(store, fixture.kekFile)]
    for (let n = 3; n < 40; n += 1) {
      await write(store, n, chunks[n % 3]!)
      await new Promise(setImmediate)
    }
    await Promise.all(rewrapping)
    await store.close()
    const next = await openWith(fixture.path, fixture.kekFile)
    for (let n = 0; n < 40; n += 1) expect(await read(next, n)).toEqual(chunks[n % 3])
    await next.close()
  })

  test('never seals under a data key that it has dropped, whatever is written at the very moment', async () => {
    await using fixture = await makeSqliteFixture()
    await beginKekReplacement(fixture.kekFile, { random })
    const sealing = await openFileSealing(fixture.kekFile, { random })
    for (let ticks = 0; ticks < 40; ticks += 1) {
      // No row needs the data key of the life under way: it is dropped, but for a write before.
      const store = await openSqliteBackend({ path: fixture.path, sealing, random })
      const rewrapping = store.rewrap!(sealing)
      for (let tick = 0; tick < ticks; tick += 1) await Promise.resolve()
      await write(store, 0, Buffer.alloc(9, ticks))
      await rewrapping
      await store.close()
      const next = await openSqliteBackend({ path: fixture.path, sealing, random })
      expect(await read(next, 0)).toEqual(Buffer.alloc(9, ticks))
      await next.transact((tx) => {
        tx.deleteChunk(chunkKey(0))
      })
      await next.close()
    }
    sealing.close()
  })

  test('stays as it is, and goes on, with a KEK file that does not hold its KEK', async () => {
    await using fixture = await makeSqliteFixture()
    await using other = await makeSqliteFixture()
    const { store, chunks, former } = await threeLives(fixture)
    await expect(rewrap(store, other.kekFile)).rejects.toMatchObject({ code: 'SEALING_FAILED' })
    for (const { wrapped } of former.slice(0, 2)) {
      expect(fixture.readFiles().includes(wrapped)).toBe(true)
    }
    await write(store, 3, chunks[0]!)
    await store.close()
    const next = await fixture.open()
    expect(await read(next, 3)).toEqual(chunks[0])
    await next.close()
  })
})

/** What kill -9 would leave: the files as they are now, in a folder of their own. */
const copyOf = (fixture: SqliteFixture): { path: string; kekFile: string } & Disposable => {
  const directory = mkdtempSync(join(tmpdir(), 'keyspring crash '))
  cpSync(fixture.directory, directory, { recursive: true })
  return {
    path: join(directory, 'store.db'),
    kekFile: join(directory, 'kek'),
    [Symbol.dispose]: () => {
      rmSync(directory, { recursive: true })
    },
  }
}

describe('a replacement that is cut off', () => {
  type Step = (store: StoreBackend, fixture: SqliteFixture) => Promise<KekReplacement>
  const begin: Step = (_, { kekFile }) => beginKekReplacement(kekFile, { random })
  const put: Step = async (store, fixture) => {
    const replacement = await begin(store, fixture)
    await rewrap(store, fixture.kekFile)
    return replacement
  }
  const finish: Step = async (store, fixture) => {
    const replacement = await put(store, fixture)
    await finishKekReplacement(fixture.kekFile, replacement)
    return replacement
  }
  const halfWritten: Step = async (store, fixture) => {
    writeFileSync(join(fixture.directory, '.kek.next'), 'keyspring-kek-1 0123', { mode: 0o600 })
    return { formerKekId: '', kekId: (await begin(store, fixture)).kekId }
  }

  test.each([
    ['before the file is replaced', halfWritten],
    ['when the file holds both', begin],
    ['when the store is under the next one', put],
    ['when the file holds the next one alone', finish],
  ])('%s leaves a store that opens, and doing it again finishes it', async (_when, step) => {
    await using fixture = await makeSqliteFixture()
    const { store, chunks } = await threeLives(fixture)
    const { kekId } = await step(store, fixture)
    using crashed = copyOf(fixture)
    await store.close()
    // The next start, which goes on under the next KEK.
    const started = await openWith(crashed.path, crashed.kekFile)
    for (const [n, chunk] of chunks.entries()) expect(await read(started, n)).toEqual(chunk)
    await write(started, 3, chunks[0]!)
    const again = await beginKekReplacement(crashed.kekFile, { random })
    if (step !== finish) expect(again.kekId).toBe(kekId)
    await rewrap(started, crashed.kekFile)
    await finishKekReplacement(crashed.kekFile, again)
    await started.close()
    const next = await openWith(crashed.path, crashed.kekFile)
    for (const [n, chunk] of [...chunks, chunks[0]!].entries())
      expect(await read(next, n)).toEqual(chunk)
    await next.close()
  })

  test.each([
    ['before the store is under the next one, the former KEK alone opens it', begin, 0],
    ['after that, the next one alone does', put, 1],
  ])('%s', async (_what, step, line) => {
    await using fixture = await makeSqliteFixture()
    const { store, chunks } = await threeLives(fixture)
    await step(store, fixture)
    using crashed = copyOf(fixture)
    await store.close()
    const lines = readFileSync(crashed.kekFile, 'latin1').split('\n')
    const alone = `${crashed.kekFile}-alone`
    copyFileSync(crashed.kekFile, alone)
    writeFileSync(alone, `${lines[line]!}\n`)
    const opened = await openWith(crashed.path, alone)
    for (const [n, chunk] of chunks.entries()) expect(await read(opened, n)).toEqual(chunk)
    await opened.close()
  })
})
