import { chmodSync, existsSync, readFileSync, rmSync, statSync } from 'node:fs'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { storeCommand } from '../../src/cli/store.ts'
import { openFileSealing } from '../../src/sealing/file-sealing.ts'
import { openSqliteBackend } from '../../src/stores/sqlite/sqlite-backend.ts'
import { systemRandom } from '../../src/support/system-clock.ts'
import { type Site, createSite } from '../config/site.ts'
import { type TestCa, createTestCa } from '../helpers/test-ca.ts'

let ca: TestCa
beforeAll(async () => {
  ca = await createTestCa()
})

const run = async (...words: readonly string[]): Promise<string> => {
  const written: string[] = []
  const io = {
    out: (line: string) => written.push(line),
    err: (line: string) => written.push(line),
  }
  await storeCommand(io).exitOverride().parseAsync(words, { from: 'user' })
  return written.join('\n')
}

/** A site whose store and KEK lie in folders that are not there yet. */
const createBareSite = async (): Promise<Site> => {
  const site = await createSite(ca)
  await site.configure({
    store: { type: 'sqlite', path: 'data/store/kme.db', kekFile: 'secret/kek' },
  })
  return site
}

const modeOf = (path: string): number => statSync(path).mode & 0o777

describe('keyspring store init', () => {
  test('makes folders, KEK file and store for their owner alone, and says to back up the KEK apart', async () => {
    await using site = await createBareSite()
    const text = await run('init', '-c', site.file)
    const [store, kek] = [site.path('data/store/kme.db'), site.path('secret/kek')]
    expect(text).toContain(`made the KEK file ${kek}`)
    expect(text).toContain(`made the empty store ${store}`)
    expect(text).toMatch(/Back up the KEK file now, apart from the store/)
    expect([modeOf(store), modeOf(kek)]).toEqual([0o600, 0o600])
    expect([modeOf(site.path('data')), modeOf(site.path('secret'))]).toEqual([0o700, 0o700])
    const sealing = await openFileSealing(kek, { random: systemRandom })
    const opened = await openSqliteBackend({ path: store, sealing, random: systemRandom })
    await opened.close()
    expect(text).not.toContain(readFileSync(kek, 'latin1').split(' ')[2]!.trim())
  })

  test('changes nothing when it runs again, and says so', async () => {
    await using site = await createBareSite()
    const paths = [site.path('data/store/kme.db'), site.path('secret/kek')]
    await run('init', '-c', site.file)
    const before = paths.map((path) => readFileSync(path))
    const report: unknown = JSON.parse(await run('init', '-c', site.file, '--json'))
    expect(report).toEqual({
      store: { path: paths[0], made: false },
      kek: { path: paths[1], made: false },
    })
    expect(await run('init', '-c', site.file)).toMatch(
      /is there: not changed\nstore .* is there: not changed$/,
    )
    expect(paths.map((path) => readFileSync(path))).toEqual(before)
  })

  test('makes a store for a KEK file that is there, without touching it', async () => {
    await using site = await createBareSite()
    await run('init', '-c', site.file)
    const kek = readFileSync(site.path('secret/kek'))
    rmSync(site.path('data'), { recursive: true })
    expect(JSON.parse(await run('init', '-c', site.file, '--json'))).toMatchObject({
      store: { made: true },
      kek: { made: false },
    })
    expect(readFileSync(site.path('secret/kek'))).toEqual(kek)
  })

  test('makes no new KEK for a store that has lost its own', async () => {
    await using site = await createBareSite()
    await run('init', '-c', site.file)
    rmSync(site.path('secret/kek'))
    await expect(run('init', '-c', site.file)).rejects.toMatchObject({
      code: 'SEALING_FAILED',
      message: expect.stringMatching(/put it back from its backup/),
    })
    expect(existsSync(site.path('secret/kek'))).toBe(false)
  })

  test('refuses a path at which something else lies', async () => {
    await using site = await createBareSite()
    await site.write('data/store/kme.db', 'Dear operator,\n'.repeat(100))
    await site.write('secret/kek', `keyspring-kek-1 ${'0'.repeat(16)} ${'A'.repeat(43)}=\n`)
    chmodSync(site.path('data/store'), 0o700)
    await expect(run('init', '-c', site.file)).rejects.toMatchObject({ code: 'STORE_SCHEMA' })
  })
})
