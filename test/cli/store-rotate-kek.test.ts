import { readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { run } from '../../src/cli/run.ts'
import { openFileSealing } from '../../src/sealing/file-sealing.ts'
import { beginKekReplacement } from '../../src/sealing/kek-replacement.ts'
import { openSqliteBackend } from '../../src/stores/sqlite/sqlite-backend.ts'
import type { StoreBackend } from '../../src/stores/store-tx.ts'
import { systemRandom } from '../../src/support/system-clock.ts'
import { type AdminWorld, startAdminWorld } from '../admin/admin-fixture.ts'
import { type Site, createSite } from '../config/site.ts'
import { RecordingIo } from './cli-fixture.ts'

let world: AdminWorld
beforeAll(async () => {
  world = await startAdminWorld()
  const { cert, key } = await world.operators.issue('olga')
  writeFileSync(world.path('olga.pem'), cert)
  writeFileSync(world.path('olga-key.pem'), key, { mode: 0o600 })
  writeFileSync(world.path('kmes.pem'), world.kmes.ca)
})
afterAll(() => world.close())

const keyspring = async (
  ...words: readonly string[]
): Promise<{ code: number; out: string; err: string }> => {
  const io = new RecordingIo()
  const code = await run(words, io)
  return { code, out: io.outLines.join('\n'), err: io.errLines.join('\n') }
}

interface StoreSite extends AsyncDisposable {
  readonly site: Site
  readonly kekFile: string
  open(): Promise<StoreBackend>
  kekLines(): readonly string[]
  rotate(...words: readonly string[]): ReturnType<typeof keyspring>
}

const makeStoreSite = async (): Promise<StoreSite> => {
  const site = await createSite(world.kmes)
  const store = { type: 'sqlite', path: 'kme.db', kekFile: 'kek' }
  await site.configure({ store })
  const kekFile = site.path('kek')
  const made = await keyspring('store', 'init', '-c', site.file)
  if (made.code !== 0) throw new Error(made.err)
  return {
    site,
    kekFile,
    open: async () => {
      const sealing = await openFileSealing(kekFile, { random: systemRandom })
      return openSqliteBackend({ path: site.path('kme.db'), sealing, random: systemRandom })
    },
    kekLines: () => readFileSync(kekFile, 'latin1').split('\n').slice(0, -1),
    rotate: (...words) => keyspring('store', 'rotate-kek', '-c', site.file, ...words),
    [Symbol.asyncDispose]: () => site[Symbol.asyncDispose](),
  }
}

const asOperator = (): readonly string[] => [
  ...['--url', `https://127.0.0.1:${world.port}`, '--ca', world.path('kmes.pem')],
  ...['--cert', world.path('olga.pem'), '--key', world.path('olga-key.pem')],
]

describe('`keyspring store rotate-kek` of a KME that is stopped', () => {
  test('puts the store under a new KEK and says what to do with both, without any key', async () => {
    await using made = await makeStoreSite()
    const [before = ''] = made.kekLines()
    const store = await made.open()
    // A data key that no row needs would be dropped, whatever it is under.
    await store.transact((tx) => {
      tx.writeFingerprintKey('a-b', Buffer.alloc(32, 1))
    })
    await store.close()
    const { code, out, err } = await made.rotate()
    expect([code, err]).toEqual([0, ''])
    const [after = '', ...more] = made.kekLines()
    expect(more).toEqual([])
    const [[, formerKekId = '', formerKey = ''], [, kekId = '', key = '']] = [
      before.split(' '),
      after.split(' '),
    ]
    expect(out).toContain(`under KEK ${kekId} now: KEK ${formerKekId} opens nothing`)
    expect(out).toContain(`Back up the KEK file ${made.kekFile} now. Destroy KEK ${formerKekId}`)
    for (const secret of [formerKey, key]) expect(out).not.toContain(secret)
    await (await made.open()).close()
    writeFileSync(made.kekFile, `${before}\n`)
    await expect(made.open()).rejects.toMatchObject({ code: 'SEALING_FAILED' })
  })

  test('prints the names of both as JSON', async () => {
    await using made = await makeStoreSite()
    const [before = ''] = made.kekLines()
    const { out } = await made.rotate('--json')
    const [after = ''] = made.kekLines()
    expect(JSON.parse(out)).toEqual({
      kekFile: made.kekFile,
      formerKekId: before.split(' ')[1],
      kekId: after.split(' ')[1],
    })
  })

  test('finishes what was cut off, with the KEK that was begun with', async () => {
    await using made = await makeStoreSite()
    const begun = await beginKekReplacement(made.kekFile, { random: systemRandom })
    expect(JSON.parse((await made.rotate('--json')).out)).toMatchObject(begun)
    expect(made.kekLines()).toEqual([expect.stringContaining(` ${begun.kekId} `)])
  })

  test('changes nothing while another process has the store, and says how the KME is told', async () => {
    await using made = await makeStoreSite()
    const before = made.kekLines()
    const store = await made.open()
    const { code, err } = await made.rotate()
    await store.close()
    expect(code).toBe(1)
    expect(err).toMatch(/is in use by another process.*; where that is the KME, give --cert and/)
    expect(made.kekLines()).toEqual(before)
  })

  test.each([
    [['--cert', 'olga.pem'], /give both --cert and --key/],
    [['--url', 'https://127.0.0.1:1'], /give both --cert and --key/],
  ])('with %j ends with 2 and says what is missing', async (words, expected) => {
    await using made = await makeStoreSite()
    const { code, err } = await made.rotate(...words)
    expect([code, err]).toEqual([2, expect.stringMatching(expected)])
    expect(made.kekLines()).toHaveLength(1)
  })

  test('has nothing to do for a store in memory, and says so', async () => {
    await using made = await makeStoreSite()
    await made.site.configure({ store: { type: 'memory' } })
    const { code, err } = await made.rotate()
    expect([code, err]).toEqual([2, expect.stringMatching(/names a store of type memory: no KEK/)])
  })
})

describe('`keyspring store rotate-kek` of a KME that runs', () => {
  test('tells the KME of the new KEK before it takes the former one away', async () => {
    await using made = await makeStoreSite()
    const { code, out, err } = await made.rotate(...asOperator(), '--json')
    expect([code, err]).toEqual([0, ''])
    const { kekId } = JSON.parse(out) as { kekId: string }
    expect(world.kme.rotatedTo.at(-1)).toBe(kekId)
    expect(made.kekLines()).toEqual([expect.stringContaining(` ${kekId} `)])
  })

  test('leaves both KEKs in the file where the KME could not do it', async () => {
    await using made = await makeStoreSite()
    const rotateKek = world.kme.rotateKek
    world.kme.rotateKek = () => Promise.reject(new Error('the disk'))
    const { code, err } = await made.rotate(...asOperator())
    world.kme.rotateKek = rotateKek
    expect([code, err]).toEqual([1, expect.stringMatching(/answered 500: the request failed/)])
    expect(made.kekLines()).toHaveLength(2)
    expect((await made.rotate(...asOperator())).code).toBe(0)
    expect(made.kekLines()).toHaveLength(1)
  })

  test('changes nothing where another KME answers, or nobody does', async () => {
    await using made = await makeStoreSite()
    const before = made.kekLines()
    await made.site.configure({
      'kme.id': 'kme-z',
      store: { type: 'sqlite', path: 'kme.db', kekFile: 'kek' },
    })
    const other = await made.rotate(...asOperator())
    expect([other.code, other.err]).toEqual([
      2,
      expect.stringMatching(/KME kme-a answers, but .*kme\.yaml is of KME kme-z/),
    ])
    const nobody = await made.rotate(...asOperator(), '--url', 'https://127.0.0.1:1')
    expect([nobody.code, nobody.err]).toEqual([1, expect.stringMatching(/cannot ask/)])
    expect(made.kekLines()).toEqual(before)
  })
})
