import { spawn } from 'node:child_process'
import { copyFileSync, statSync } from 'node:fs'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { expect, test } from '@jest/globals'
import SQLite from 'better-sqlite3'
import { chunkKey, makeSqliteFixture } from './sqlite-fixture.ts'

const moduleUrl = (path: string): string =>
  JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href)

/** Commits one transaction of three rows after the other and tells the number of each that is durable. */
const WRITER = `
  const { openSqliteBackend } = await import(${moduleUrl('stores/sqlite/sqlite-backend.ts')})
  const { openFileSealing } = await import(${moduleUrl('sealing/file-sealing.ts')})
  const { systemRandom } = await import(${moduleUrl('support/system-clock.ts')})
  const [path, kekFile, from] = process.argv.slice(1)
  const sealing = await openFileSealing(kekFile, { random: systemRandom })
  const store = await openSqliteBackend({ path, sealing, random: systemRandom })
  const epoch = { counter: 1, id: 'e'.repeat(32) }
  for (let n = Number(from); ; n += 1) {
    await store.transact((tx) => {
      for (const lane of ['verifier', 'follower']) {
        tx.writeChunk({ linkId: 'a-b', epoch, lane, number: n % 50 }, Buffer.alloc(4000, n & 255))
      }
      tx.writeRunningMs(n)
    })
    process.stdout.write(n + '\\n')
  }
`

const killAfter = async (args: readonly string[], commits: number): Promise<number> => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', WRITER, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let last = -1
  let seen = 0
  for await (const line of createInterface({ input: child.stdout })) {
    last = Number(line)
    seen += 1
    if (seen === commits) child.kill('SIGKILL')
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  expect(child.signalCode).toBe('SIGKILL')
  return last
}

test('a writer killed at any moment leaves whole transactions, and all that it told as durable', async () => {
  await using fixture = await makeSqliteFixture()
  let next = 0
  for (const commits of [1, 7, 40, 400]) {
    const told = await killAfter([fixture.path, fixture.kekFile, String(next)], commits)
    const store = await fixture.open()
    await store.transact((tx) => {
      const last = tx.readMeta().runningMs
      expect(last).toBeGreaterThanOrEqual(told)
      for (let n = Math.max(0, last - 49); n <= last; n += 1) {
        for (const lane of ['verifier', 'follower'] as const) {
          const chunk = tx.readChunk({ ...chunkKey(n % 50), lane })
          expect(chunk).toEqual(Buffer.alloc(4000, n & 255))
        }
      }
      next = last + 1
    })
    await store.close()
    expect(fixture.edit((db) => db.pragma('integrity_check', { simple: true }))).toBe('ok')
  }
})

test('what a crash left in the log is in the database before anything is added to the log', async () => {
  await using fixture = await makeSqliteFixture()
  const told = await killAfter([fixture.path, fixture.kekFile, '0'], 40)
  expect(statSync(`${fixture.path}-wal`).size).toBeGreaterThan(0)
  const store = await fixture.open()
  const alone = `${fixture.path}.alone`
  copyFileSync(fixture.path, alone)
  await store.close()
  const db = new SQLite(alone)
  const { runningMs } = db.prepare('SELECT running_ms AS runningMs FROM store').get() as {
    runningMs: number
  }
  db.close()
  expect(runningMs).toBeGreaterThanOrEqual(told)
})
