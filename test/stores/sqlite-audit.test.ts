import SQLite from 'better-sqlite3'
import { expect, test } from '@jest/globals'
import { chmodSync } from 'node:fs'
import { EMPTY_RECORD, verifyChain } from '../../src/audit/chain.ts'
import { INITIAL_SCHEMA } from '../../src/stores/sqlite/schema-1.ts'
import { APPLICATION_ID } from '../../src/stores/sqlite/store-file.ts'
import { MemoryBackend } from '../../src/stores/memory/memory-backend.ts'
import type { StoreTx } from '../../src/stores/store-tx.ts'
import { systemRandom } from '../../src/support/system-clock.ts'
import { makeSqliteFixture, type SqliteFixture } from './sqlite-fixture.ts'

const ROWS = 2_500
const FACTS = {
  atMs: 1_800_000_100_000,
  action: 'fetched',
  linkId: 'a-b',
  deliveryId: 'f'.repeat(32),
  keyCount: 1,
  keySizeBits: 256,
  master: 'master',
  saes: ['slave'],
} as const

/** A store as version 0.1 left it: schema 1, with an audit record. */
const makeFirstStore = (path: string): void => {
  const db = new SQLite(path)
  db.exec(INITIAL_SCHEMA)
  db.pragma(`application_id = ${String(APPLICATION_ID)}`)
  db.pragma('user_version = 1')
  db.prepare('INSERT INTO store (id, store_id, generation) VALUES (1, ?, ?)').run(
    '5'.repeat(32),
    '9'.repeat(32),
  )
  const insert = db.prepare(
    `INSERT INTO audit (at_ms, action, link_id, delivery_id, key_count, key_size_bits, master, saes)
     VALUES (?, 'delivered', 'a-b', ?, 1, 256, 'master', '["slave"]')`,
  )
  db.transaction(() => {
    for (let i = 0; i < ROWS; i += 1) insert.run(1_800_000_000_000.5 + i, String(i).padStart(32))
  })()
  db.close()
  chmodSync(path, 0o600)
}

test('the audit record of a store of schema 1 is chained when it is first opened, and goes on', async () => {
  await using fixture = await makeSqliteFixture()
  makeFirstStore(fixture.path)
  for (const life of [1, 2]) {
    const store = await fixture.open()
    const entries = await store.transact((tx) => {
      tx.appendAudit(FACTS)
      return tx.readAudit(0, ROWS + 10)
    })
    expect(entries).toHaveLength(ROWS + life)
    expect(verifyChain(entries, EMPTY_RECORD)).toBe(null)
    await store.close()
  }
})

test.each([
  ['SQLite', async (fixture: SqliteFixture) => fixture.open()],
  ['memory', async () => new MemoryBackend(systemRandom)],
])('what was rolled back leaves no mark in the chain (%s)', async (_, open) => {
  await using fixture = await makeSqliteFixture()
  const store = await open(fixture)
  const broken = new Error('on purpose')
  const append = (tx: StoreTx, times: number): void => {
    for (let i = 0; i < times; i += 1) tx.appendAudit(FACTS)
  }
  const appendAndThrow = (tx: StoreTx): void => {
    append(tx, 2)
    throw broken
  }
  for (let round = 0; round < 3; round += 1) {
    const undone = async (): Promise<void> => store.transact(appendAndThrow)
    await expect(undone()).rejects.toBe(broken)
    await store.transact((tx) => {
      tx.savepoint(() => {
        append(tx, 1)
      })
      expect(() => {
        tx.savepoint(() => {
          appendAndThrow(tx)
        })
      }).toThrow(broken)
      append(tx, 1)
    })
  }
  const entries = await store.transact((tx) => tx.readAudit(0, 100))
  expect(entries.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5, 6])
  expect(verifyChain(entries, EMPTY_RECORD)).toBe(null)
  await store.close()
})
