import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  readdirSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import SQLite from 'better-sqlite3'
import { isKmeError } from '../../src/errors.ts'
import { openFileSealing } from '../../src/sealing/file-sealing.ts'
import { makeKekFile } from '../../src/sealing/kek-file.ts'
import { Database } from '../../src/stores/sqlite/database.ts'
import { SCHEMA_VERSION } from '../../src/stores/sqlite/schema.ts'
import { openSqliteBackend } from '../../src/stores/sqlite/sqlite-backend.ts'
import { openSqliteStore } from '../../src/stores/sqlite/sqlite-store.ts'
import { APPLICATION_ID } from '../../src/stores/sqlite/store-file.ts'
import { systemRandom } from '../../src/support/system-clock.ts'
import { eventually } from '../helpers/eventually.ts'
import { chunkKey, makeSqliteFixture } from './sqlite-fixture.ts'

const DATABASE_MODULE = new URL('../../src/stores/sqlite/database.ts', import.meta.url).href

const refusalOf = (error: unknown): { code: string; message: string } => {
  if (!isKmeError(error)) throw error
  return { code: error.code, message: error.message }
}

const refusal = async (opening: Promise<unknown>): Promise<{ code: string; message: string }> =>
  refusalOf(
    await opening.then(
      () => new Error('it opened'),
      (error: unknown) => error,
    ),
  )

describe('the store file', () => {
  test('is made with its WAL for its owner alone, without shared memory', async () => {
    await using fixture = await makeSqliteFixture()
    const store = await fixture.open()
    for (const file of [fixture.path, `${fixture.path}-wal`]) {
      expect(statSync(file).mode & 0o777).toBe(0o600)
    }
    expect(existsSync(`${fixture.path}-shm`)).toBe(false)
    await store.close()
    expect(readdirSync(fixture.directory).sort()).toEqual(['kek', 'store.db'])
  })

  test('syncs a transaction of its own before it goes on, also after the first write', async () => {
    await using fixture = await makeSqliteFixture()
    const db = Database.open(fixture.path)
    db.transaction(() => {
      db.exec(`PRAGMA application_id = ${String(APPLICATION_ID)}; CREATE TABLE t (a)`)
    })
    expect(db.pragma('synchronous')).toBe(2)
    expect(db.pragma('journal_mode')).toBe('wal')
    expect(db.pragma('secure_delete')).toBe(1)
    expect(db.pragma('locking_mode')).toBe('exclusive')
    db.close()
  })

  test('has its WAL emptied soon after a commit, so that erased bytes do not stay in it', async () => {
    await using fixture = await makeSqliteFixture()
    const db = Database.open(fixture.path, 5)
    db.transaction(() => {
      db.exec(`PRAGMA application_id = ${String(APPLICATION_ID)}; CREATE TABLE t (a)`)
      db.exec('INSERT INTO t VALUES (1)')
    })
    expect(statSync(`${fixture.path}-wal`).size).toBeGreaterThan(0)
    await eventually(() => statSync(`${fixture.path}-wal`).size === 0, 'an empty WAL')
    db.close()
  })

  test('behind a symbolic link is synced where it lies, not where the link does', async () => {
    await using fixture = await makeSqliteFixture()
    await (await fixture.open()).close()
    const link = join(fixture.directory, 'link.db')
    symlinkSync('store.db', link)
    const { sealing } = fixture
    const store = await openSqliteBackend({ path: link, sealing, random: systemRandom })
    await store.transact((tx) => {
      tx.writeRunningMs(5)
    })
    await store.close()
  })

  test('is refused to a second process with one line, and to a third after the second gave up', async () => {
    await using fixture = await makeSqliteFixture()
    const store = await fixture.open()
    const script = `
      const { Database } = await import(${JSON.stringify(DATABASE_MODULE)})
      try { Database.open(process.argv[1]); console.log('opened') }
      catch (error) { console.log(error.code + ' ' + error.message) }`
    const expected = `STORE_LOCKED store ${fixture.path} is in use by another process; stop it or use another path\n`
    const args = ['--input-type=module', '-e', script, fixture.path]
    const attempts = [1, 2].map(
      () => spawnSync(process.execPath, args, { encoding: 'utf8' }).stdout,
    )
    expect(attempts).toEqual([expected, expected])
    expect(await refusal(fixture.open())).toMatchObject({ code: 'STORE_LOCKED' })
    await store.close()
    await (await fixture.open()).close()
  })

  test('that a killed process left half made is finished by the next', async () => {
    await using fixture = await makeSqliteFixture()
    const script = `
      const { Database } = await import(${JSON.stringify(DATABASE_MODULE)})
      Database.open(process.argv[1])
      process.kill(process.pid, 'SIGKILL')`
    const args = ['--input-type=module', '-e', script, fixture.path]
    expect(spawnSync(process.execPath, args).signal).toBe('SIGKILL')
    expect(statSync(fixture.path).size).toBeGreaterThan(0)
    const store = await fixture.open()
    expect((await store.transact((tx) => tx.readMeta())).generation).toMatch(/^[0-9a-f]{32}$/)
    await store.close()
  })

  test('keeps its generation over lives, and a new store has another', async () => {
    await using one = await makeSqliteFixture()
    await using two = await makeSqliteFixture()
    const generations: string[] = []
    for (const fixture of [one, one, two]) {
      const store = await fixture.open()
      const meta = await store.transact((tx) => tx.readMeta())
      expect(meta.runningMs).toBe(0)
      expect(await store.transact((tx) => tx.listFormerGenerations())).toEqual([])
      generations.push(meta.generation)
      await store.close()
    }
    expect(generations[0]).toMatch(/^[0-9a-f]{32}$/)
    expect(generations[1]).toBe(generations[0])
    expect(generations[2]).not.toBe(generations[0])
  })

  test('of a newer schema is refused with both versions, unchanged', async () => {
    await using fixture = await makeSqliteFixture()
    await (await fixture.open()).close()
    fixture.edit((db) => db.pragma(`user_version = ${String(SCHEMA_VERSION + 6)}`))
    const before = readFileSync(fixture.path)
    const { code, message } = await refusal(fixture.open())
    expect(code).toBe('STORE_SCHEMA')
    expect(message).toContain(`has schema ${String(SCHEMA_VERSION + 6)}`)
    expect(message).toContain(`knows schemas up to ${String(SCHEMA_VERSION)}; run the newer`)
    expect(readFileSync(fixture.path).equals(before)).toBe(true)
  })

  test('of another program, or no database at all, is refused and left as it was', async () => {
    await using fixture = await makeSqliteFixture()
    const foreign = new SQLite(fixture.path)
    foreign.exec('CREATE TABLE recipes (name TEXT)')
    foreign.close()
    chmodSync(fixture.path, 0o600)
    const text = join(fixture.directory, 'letter.txt')
    writeFileSync(text, 'Dear operator,\n'.repeat(100), { mode: 0o600 })
    for (const path of [fixture.path, text]) {
      const before = readFileSync(path)
      const options = { path, sealing: fixture.sealing, random: systemRandom }
      const { code, message } = await refusal(openSqliteBackend(options))
      expect(code).toBe('STORE_SCHEMA')
      expect(message).toMatch(
        /^store .* is (a database of another program|no store of Keyspring); /,
      )
      expect(readFileSync(path).equals(before)).toBe(true)
    }
  })

  test('that is a directory, open to others, in an open directory or nowhere is refused with one line', async () => {
    await using fixture = await makeSqliteFixture()
    const at = (...names: string[]): string => join(fixture.directory, ...names)
    mkdirSync(at('folder'))
    mkdirSync(at('open'), { mode: 0o700 })
    chmodSync(at('open'), 0o777)
    writeFileSync(at('shared.db'), '', { mode: 0o600 })
    chmodSync(at('shared.db'), 0o640)
    const cases: readonly (readonly [string, RegExp])[] = [
      [at('folder'), /is a directory; name a file/],
      [at('shared.db'), /others have access to it; run "chmod 600/],
      [at('open', 'store.db'), /others can write the directory/],
      [at('nowhere', 'store.db'), /the directory .* does not exist/],
      [at('kek', 'store.db'), /cannot be reached|does not exist/],
    ]
    for (const [path, reason] of cases) {
      const options = { path, sealing: fixture.sealing, random: systemRandom }
      const { code, message } = await refusal(openSqliteBackend(options))
      expect(code).toBe('STORE_FAILED')
      expect(message).toMatch(reason)
      expect(message).not.toContain('\n')
    }
  })

  test('opened with another KEK names both KEKs, and opens again with its own', async () => {
    await using fixture = await makeSqliteFixture()
    const store = await fixture.open()
    await store.transact((tx) => {
      tx.writeChunk(chunkKey(0), Buffer.alloc(4000, 7))
    })
    await store.close()
    const otherFile = join(fixture.directory, 'other kek')
    const otherId = makeKekFile(otherFile, systemRandom)
    const sealing = await openFileSealing(otherFile, { random: systemRandom })
    const { code, message } = await refusal(
      openSqliteBackend({ path: fixture.path, sealing, random: systemRandom }),
    )
    expect(code).toBe('SEALING_FAILED')
    expect(message).toContain(`KEK ${fixture.sealing.kekId}, but the KEK file holds ${otherId}`)
    const again = await fixture.open()
    const chunk = await again.transact((tx) => tx.readChunk(chunkKey(0)))
    expect(chunk).toEqual(Buffer.alloc(4000, 7))
    await again.close()
  })
})

describe('a database that fails', () => {
  test('keeps what was committed and goes on once a full disk has room again', async () => {
    await using fixture = await makeSqliteFixture()
    const db = Database.open(fixture.path)
    db.transaction(() => {
      db.exec(`PRAGMA application_id = ${String(APPLICATION_ID)};
        CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)`)
    })
    const insert = db.prepare('INSERT INTO t (b) VALUES (?)')
    const count = db.prepare<{ n: number }>('SELECT count(*) AS n FROM t')
    // The same error as a disk without room, at a size of our choice.
    db.pragma('max_page_count = 20')
    const fill = (): void => {
      db.transaction(() => insert.run(Buffer.alloc(4000)))
    }
    const whole = (): void => {
      db.transaction(() => {
        db.savepoint(() => insert.run(Buffer.alloc(10)))
        try {
          for (let i = 0; i < 40; i += 1) db.savepoint(() => insert.run(Buffer.alloc(4000)))
        } catch {
          // An operation that swallows the error must not get half of the transaction committed.
        }
      })
    }
    fill()
    expect(whole).toThrow(expect.objectContaining({ code: 'STORE_FAILED' }))
    expect(whole).toThrow(/the disk is full; make room/)
    expect(count.get()?.n).toBe(1)
    expect(db.poisoned).toBe(false)
    db.pragma('max_page_count = 1000')
    fill()
    expect(count.get()?.n).toBe(2)
    db.close()
  })

  test('on a disk that is really full refuses the write, loses nothing and recovers', async () => {
    await using fixture = await makeSqliteFixture()
    const disk = join(fixture.directory, 'disk')
    mkdirSync(disk, { mode: 0o700 })
    // Mounting needs root; elsewhere the test above stands for it.
    const isRoot = process.getuid?.() === 0
    const mounted =
      isRoot &&
      spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=700', 'tmpfs', disk]).status === 0
    const path = join(disk, 'store.db')
    try {
      const store = await openSqliteBackend({
        path,
        sealing: fixture.sealing,
        random: systemRandom,
      })
      const ballast = join(disk, 'ballast')
      if (mounted) {
        writeFileSync(ballast, Buffer.alloc(512 * 1024))
        await expect(
          store.transact((tx) => {
            for (let i = 0; i < 300; i += 1) tx.writeChunk(chunkKey(i), Buffer.alloc(4000, 1))
          }),
        ).rejects.toThrow(expect.objectContaining({ code: 'STORE_FAILED' }))
        expect(store.poisoned).toBe(false)
        execFileSync('rm', [ballast])
      }
      await store.transact((tx) => {
        tx.writeChunk(chunkKey(5), Buffer.alloc(4000, 2))
      })
      const chunks = await store.transact((tx) => tx.listChunks('a-b', 'verifier'))
      expect(chunks).toEqual([{ number: 5, lengthBytes: 4000 }])
      await store.close()
    } finally {
      if (mounted) spawnSync('umount', ['--lazy', disk])
    }
  })

  test('tells nothing as durable that could not be synced, and takes nothing any more', async () => {
    await using fixture = await makeSqliteFixture()
    const store = await fixture.open()
    rmSync(`${fixture.path}-wal`)
    const write = (): void | Promise<void> =>
      store.transact((tx) => {
        tx.writeChunk(chunkKey(1), Buffer.alloc(4000, 1))
      })
    await expect(write()).rejects.toMatchObject({
      code: 'STORE_FAILED',
      message: expect.stringMatching(/^store .* had an I\/O error \(.*ENOENT.*check the disk/),
    })
    expect(store.poisoned).toBe(true)
    await expect(write()).rejects.toThrow(/takes nothing any more/)
    await store.close()
  })

  test('tells nothing as durable where something else failed while it was synced', async () => {
    await using fixture = await makeSqliteFixture()
    const db = Database.open(fixture.path)
    db.transaction(() => {
      db.exec(`PRAGMA application_id = ${String(APPLICATION_ID)}; CREATE TABLE t (a)`)
    })
    db.commit(() => {
      db.exec('INSERT INTO t VALUES (1)')
    })
    const synced = db.synced()
    truncateSync(`${fixture.path}-wal`)
    expect(() => db.pragma('wal_checkpoint(TRUNCATE)')).toThrow(/SQLITE_IOERR/)
    await expect(synced).rejects.toMatchObject({
      code: 'STORE_FAILED',
      message: expect.stringMatching(/takes nothing any more/),
    })
    db.close()
  })

  test('says that a page is damaged and takes nothing any more', async () => {
    await using fixture = await makeSqliteFixture()
    const store = await fixture.open()
    await store.transact((tx) => {
      for (let i = 0; i < 50; i += 1) tx.writeChunk(chunkKey(i), Buffer.alloc(4000, 1))
    })
    await store.close()
    const root = fixture.edit(
      (db) =>
        db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'chunk'").get() as {
          rootpage: number
        },
    ).rootpage
    const bytes = readFileSync(fixture.path)
    bytes.fill(0xff, (root - 1) * 4096, root * 4096)
    writeFileSync(fixture.path, bytes)
    const damaged = await fixture.open()
    const read = damaged.transact((tx) => tx.readChunk(chunkKey(3)))
    await expect(read).rejects.toThrow(expect.objectContaining({ code: 'STORE_CORRUPT' }))
    expect(damaged.poisoned).toBe(true)
    await expect(damaged.transact((tx) => tx.readMeta())).rejects.toThrow(
      `store ${fixture.path} is damaged and takes nothing any more; restore it from its backup`,
    )
    await damaged.close()
  })

  test('says so to whoever runs the KME, also where others committed with the one that met it', async () => {
    await using fixture = await makeSqliteFixture()
    await (await fixture.open()).close()
    const page = fixture.edit(
      (db) =>
        db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'audit'").get() as {
          rootpage: number
        },
    ).rootpage
    const bytes = readFileSync(fixture.path)
    bytes.fill(0xff, (page - 1) * 4096, page * 4096)
    writeFileSync(fixture.path, bytes)
    const { path, sealing } = fixture
    const store = await openSqliteStore({ path, sealing, random: systemRandom })
    const calls = [store.readAudit(0, 1), store.readRunningTime(), store.readAudit(0, 1)]
    for (const call of await Promise.allSettled(calls)) expect(call.status).toBe('rejected')
    expect((await store.failed).message).toMatch(
      /^store .* is damaged .*restore it from its backup$/,
    )
    await store.close()
  })

  test('is refused in one line where a bit of what its tables are called is another', async () => {
    await using fixture = await makeSqliteFixture()
    await (await fixture.open()).close()
    for (const [word, other] of [
      ['running_ms', 'running_mr'],
      ['CREATE TABLE delivery', 'CREATE TABLF delivery'],
    ] as const) {
      const whole = readFileSync(fixture.path)
      const bytes = Buffer.from(whole)
      const at = bytes.indexOf(word)
      expect(at).toBeGreaterThan(0)
      bytes.write(other, at, 'latin1')
      writeFileSync(fixture.path, bytes)
      await expect(fixture.open()).rejects.toMatchObject({
        code: 'STORE_CORRUPT',
        message: expect.stringMatching(/^store .* is damaged.*; restore it from its backup$/),
      })
      writeFileSync(fixture.path, whole)
      await (await fixture.open()).close()
    }
  })
})
