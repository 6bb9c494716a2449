import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { readFile, writeFile } from 'node:fs/promises'
import { run } from '../../src/cli/run.ts'
import { type AdminWorld, startAdminWorld } from '../admin/admin-fixture.ts'
import { type Site, createSite } from '../config/site.ts'
import { RecordingIo } from './cli-fixture.ts'

let world: AdminWorld
let site: Site
beforeAll(async () => {
  world = await startAdminWorld()
  const { cert, key } = await world.operators.issue('olga')
  await writeFile(world.path('olga.pem'), cert)
  await writeFile(world.path('olga-key.pem'), key, { mode: 0o600 })
  await writeFile(world.path('kmes.pem'), world.kmes.ca)
  site = await createSite()
})
afterAll(async () => {
  await world.close()
  await site[Symbol.asyncDispose]()
})

/** The configuration of the site, with the admin listener of the world. */
const configure = async (admin: Readonly<Record<string, unknown>>): Promise<void> => {
  await site.configure()
  const config = JSON.parse(await readFile(site.file, 'utf8')) as {
    listeners: { admin: Record<string, unknown> }
  }
  Object.assign(config.listeners.admin, { certFile: world.path('cert.pem') }, admin)
  await writeFile(site.file, JSON.stringify(config))
}

const status = async (...words: readonly string[]): Promise<RecordingIo & { code: number }> => {
  const io = new RecordingIo()
  const files = ['--cert', world.path('olga.pem'), '--key', world.path('olga-key.pem')]
  return Object.assign(io, { code: await run(['status', ...words, ...files], io) })
}

describe('`keyspring status`', () => {
  test('asks the KME of a configuration, known by its very certificate', async () => {
    await configure({ host: '0.0.0.0', port: world.port })
    const { code, outLines, errLines } = await status('-c', site.file)
    expect([code, errLines]).toEqual([0, []])
    expect(outLines[0]).toMatch(/^KME kme-a: ready/)
    expect(outLines[2]).toMatch(/^a-b +kme-b +ready/)
  })

  test('asks a URL, with the CA of the KME, and prints everything as JSON', async () => {
    const url = `https://127.0.0.1:${world.port}`
    const { code, outLines } = await status('--url', url, '--ca', world.path('kmes.pem'), '--json')
    expect(code).toBe(0)
    expect(JSON.parse(outLines.join('\n'))).toMatchObject({ kme: { kmeId: 'kme-a' }, ready: true })
  })

  test('says in one line that nobody answers, and ends with 1', async () => {
    await configure({ host: '127.0.0.1', port: 1 })
    const { code, errLines } = await status('-c', site.file)
    expect(code).toBe(1)
    expect(errLines).toEqual([
      expect.stringMatching(/^keyspring: cannot ask https:\/\/127\.0\.0\.1:1: /),
    ])
  })

  test.each([
    [['--url', 'https://127.0.0.1:1'], /--ca is missing/],
    [[], /which KME\? Give -c FILE or --url URL/],
    [['--url', 'http://127.0.0.1:1', '--ca'], /expected a URL like https/],
  ])('with %j ends with 2 and says what is missing', async (words, expected) => {
    const all = words.at(-1) === '--ca' ? [...words, world.path('kmes.pem')] : words
    const { code, errLines } = await status(...all)
    expect(code).toBe(2)
    expect(errLines.join('\n')).toMatch(expected)
  })
})
