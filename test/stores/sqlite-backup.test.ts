import { randomBytes } from 'node:crypto'
import { copyFileSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import SQLite from 'better-sqlite3'
import { COPIED_TABLES, LEFT_OUT_TABLES, writeBackup } from '../../src/stores/sqlite/backup.ts'
import { assertWrittenBack, restoreBackup } from '../../src/stores/sqlite/restore-backup.ts'
import { systemRandom } from '../../src/support/system-clock.ts'
import { chunkKey, deliveryAt, makeSqliteFixture, type SqliteFixture } from './sqlite-fixture.ts'

const KEY = randomBytes(4000)

/** A store with a link, a registered SAE, key in a lane and key that waits for a slave. */
const fill = async (fixture: SqliteFixture): Promise<string> => {
  const store = await fixture.open()
  const generation = await store.transact((tx) => {
    tx.writeLink({
      ...{ identity: { linkId: 'a-b', kmeId: 'kme-a', peerKmeId: 'kme-b' }, life: 7 },
      ...{
        greeted: true,
        counting: true,
        commitCounter: 99,
        changes: 99,
        epoch: { counter: 3, id: 'e' },
      },
      ...{ epochAfterRestoreOf: null, epochAgreed: true, restored: false, knownOfPeer: null },
      ...{ lastBatch: 5, closedTold: true },
    })
    tx.writeOwnSaes({ version: 1, saes: [{ saeId: 'sae-a', registrationId: '1'.repeat(32) }] })
    tx.writeChunk(chunkKey(0), KEY)
    tx.writeHeld(tx.insertDelivery(deliveryAt(0)), KEY.subarray(0, 32))
    return tx.readMeta().generation
  })
  await store.close()
  return generation
}

const partsOf = (fixture: SqliteFixture, from: string) => ({
  ...{ from, path: fixture.path, kmeId: 'kme-a', sealing: fixture.sealing },
  ...{ random: systemRandom, wallMs: 1_800_000_000_000 },
})

describe('a backup', () => {
  test('knows of every table whether it is copied', async () => {
    await using fixture = await makeSqliteFixture()
    await (await fixture.open()).close()
    const tables = fixture.edit((db) =>
      db
        .prepare<[], { name: string }>(
          `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`,
        )
        .all()
        .map(({ name }) => name),
    )
    expect([...tables].sort()).toEqual([...COPIED_TABLES, ...LEFT_OUT_TABLES].sort())
  })

  test('holds no key, sealed or not, is for its owner alone, and is taken for no store', async () => {
    await using fixture = await makeSqliteFixture()
    const generation = await fill(fixture)
    const out = `${fixture.directory}/backup.ksb`
    expect(writeBackup(fixture.path, out, systemRandom)).toEqual({
      ...{ generation, links: ['a-b'], auditRows: 0 },
    })
    expect(statSync(out).mode & 0o777).toBe(0o600)
    const sealed = fixture.edit((db) =>
      db
        .prepare<[], { sealed: Buffer }>(
          `SELECT sealed FROM chunk UNION ALL SELECT sealed FROM delivery_group
           UNION ALL SELECT wrapped FROM data_key`,
        )
        .all(),
    )
    expect(sealed.length).toBeGreaterThan(2)
    const bytes = readFileSync(out)
    for (const row of sealed) expect(bytes.includes(row.sealed.subarray(0, 24))).toBe(false)
    expect(bytes.includes(KEY.subarray(0, 16))).toBe(false)
    expect(() => writeBackup(out, `${out}2`, systemRandom)).toThrow(`there is no store at ${out}`)
    expect(() => writeBackup(fixture.path, out, systemRandom)).toThrow('name another file')
  })

  test('becomes a store of another generation, with the lives of before and nothing of the lanes', async () => {
    await using fixture = await makeSqliteFixture()
    const generation = await fill(fixture)
    const out = `${fixture.directory}/backup.ksb`
    writeBackup(fixture.path, out, systemRandom)
    await expect(restoreBackup({ ...partsOf(fixture, out), replace: false })).rejects.toThrow(
      '--replace puts it aside',
    )
    const report = await restoreBackup({ ...partsOf(fixture, out), replace: true })
    expect(report).toMatchObject({ formerGeneration: generation, links: ['a-b'] })
    expect(report.generation).not.toBe(generation)
    expect(statSync(report.asidePath ?? '').isFile()).toBe(true)
    const store = await fixture.open()
    await store.transact((tx) => {
      expect(tx.readMeta().generation).toBe(report.generation)
      expect(tx.listFormerGenerations()).toContain(generation)
      expect(tx.findLink('a-b')).toMatchObject({ life: 8, restored: true, greeted: false })
      expect(tx.readOwnSaes()?.saes.map(({ saeId }) => saeId)).toEqual(['sae-a'])
      expect(tx.readChunk(chunkKey(0))).toBeNull()
      expect(tx.listDeliveries('a-b', 0, 10)).toEqual([])
    })
    await store.close()
  })

  test('of another KME, or what is no backup, is refused and changes nothing', async () => {
    await using fixture = await makeSqliteFixture()
    await fill(fixture)
    const out = `${fixture.directory}/backup.ksb`
    writeBackup(fixture.path, out, systemRandom)
    const before = readFileSync(fixture.path)
    const refused = (changes: object) =>
      restoreBackup({ ...partsOf(fixture, out), replace: true, ...changes })
    await expect(refused({ kmeId: 'kme-z' })).rejects.toThrow('of KME kme-a, not of kme-z')
    await expect(refused({ from: fixture.path })).rejects.toThrow('is no backup of a store')
    await expect(refused({ from: `${out}.none` })).rejects.toThrow('there is no file')
    expect(readFileSync(fixture.path)).toEqual(before)
  })

  test('does not meet the log of a database that was lost', async () => {
    await using fixture = await makeSqliteFixture()
    const generation = await fill(fixture)
    const out = `${fixture.directory}/backup.ksb`
    writeBackup(fixture.path, out, systemRandom)
    const store = await fixture.open()
    await store.transact((tx) => {
      tx.writeChunk(chunkKey(1), KEY)
    })
    copyFileSync(`${fixture.path}-wal`, `${fixture.path}.log`)
    await store.close()
    rmSync(fixture.path)
    copyFileSync(`${fixture.path}.log`, `${fixture.path}-wal`)
    const report = await restoreBackup({ ...partsOf(fixture, out), replace: false })
    expect(statSync(`${report.asidePath ?? ''}-wal`).isFile()).toBe(true)
    expect(existsSync(`${fixture.path}-wal`)).toBe(false)
    const restored = await fixture.open()
    await restored.transact((tx) => {
      expect(tx.readMeta().generation).not.toBe(generation)
      expect(tx.readChunk(chunkKey(1))).toBeNull()
    })
    await restored.close()
  })

  test('is no store while part of it is still in the log', async () => {
    await using fixture = await makeSqliteFixture()
    const store = await fixture.open()
    await store.transact((tx) => {
      tx.writeRunningMs(7)
    })
    expect(() => {
      assertWrittenBack(fixture.path)
    }).toThrow(/could not be written whole; make room/)
    await store.close()
    expect(() => {
      assertWrittenBack(fixture.path)
    }).not.toThrow()
  })

  test('that is damaged, or newer than this program, is refused in one line', async () => {
    await using fixture = await makeSqliteFixture()
    await fill(fixture)
    const out = `${fixture.directory}/backup.ksb`
    writeBackup(fixture.path, out, systemRandom)
    const refused = () => restoreBackup({ ...partsOf(fixture, out), replace: true })
    const whole = readFileSync(out)
    writeFileSync(out, Buffer.concat([whole.subarray(0, 100), Buffer.alloc(5000, 7)]))
    await expect(refused()).rejects.toMatchObject({ code: 'STORE_FAILED' })
    writeFileSync(out, whole)
    const handle = new SQLite(out)
    handle.pragma('user_version = 99')
    handle.close()
    await expect(refused()).rejects.toMatchObject({ code: 'STORE_SCHEMA' })
  })

  test('is neither made nor put back while the store is in use', async () => {
    await using fixture = await makeSqliteFixture()
    await fill(fixture)
    const out = `${fixture.directory}/backup.ksb`
    writeBackup(fixture.path, out, systemRandom)
    const running = await fixture.open()
    expect(() => writeBackup(fixture.path, `${out}2`, systemRandom)).toThrow('in use')
    await expect(restoreBackup({ ...partsOf(fixture, out), replace: true })).rejects.toThrow(
      'in use',
    )
    await running.close()
  })
})
