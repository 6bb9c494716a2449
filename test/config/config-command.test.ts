import { beforeAll, describe, expect, test } from '@jest/globals'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { configCommand } from '../../src/cli/config.ts'
import { examineConfig } from '../../src/config/load.ts'
import { configReference } from '../../src/config/reference.ts'
import { certificateWarnings, configWarnings } from '../../src/config/summary.ts'
import { parseDraft } from './sample.ts'
import { type TestCa, createTestCa } from '../helpers/test-ca.ts'
import { createSite, errorLines } from './site.ts'

let ca: TestCa

beforeAll(async () => {
  ca = await createTestCa()
})

/** Runs `keyspring config ...` and returns what it wrote to standard output. */
const start = (...words: readonly string[]) => {
  const written: string[] = []
  const io = {
    out: (line: string) => written.push(line),
    err: (line: string) => written.push(line),
  }
  const done = configCommand(io).exitOverride().parseAsync(words, { from: 'user' })
  return { done, written }
}

const run = async (...words: readonly string[]): Promise<string> => {
  const { done, written } = start(...words)
  await done
  return written.join('\n')
}

describe('keyspring config check', () => {
  test('says in words what would run', async () => {
    await using site = await createSite(ca)
    const text = await run('check', '-c', site.file)
    expect(text).toContain(`OK: ${site.file}`)
    expect(text).toContain('0.0.0.0:8443, TLS 1.2 or newer')
    expect(text).toContain('link a-b: to "kme-b" at kme-b.example:8444')
    expect(text).toContain('device d1: key-files, leader')
    expect(text).toContain('SAEs registered: "sae-1"')
  })

  test('gives the same to programs with --json', async () => {
    await using site = await createSite(ca)
    expect(JSON.parse(await run('check', '-c', site.file, '--json'))).toMatchObject({
      ok: true,
      kme: 'kme-a',
      links: [
        { id: 'a-b', peer: 'kme-b', devices: [{ id: 'd1', driver: 'key-files', role: 'leader' }] },
      ],
      saes: ['sae-1'],
    })
  })

  test('warns of a certificate that expires soon, an SAE list that is empty, and a simulated device', async () => {
    await using site = await createSite(ca)
    await site.certify({ days: 7 })
    await site.configure({
      saes: [],
      allowSimulated: true,
      'links[0].devices': [
        { id: 's', role: 'leader', driver: 'simulator', options: { seed: 'x' } },
      ],
    })
    const text = await run('check', '-c', site.file)
    expect(text).toMatch(
      /warning: listeners\.sae\.certFile: the certificate "CN=kme-a" expires on \S+, in [67] days/,
    )
    expect(text).toContain('warning: no SAE is registered')
    expect(text).toContain('warning: device a-b/s is simulated')
  })

  test('warns of a store, its key and a folder of a device that are not there yet', async () => {
    await using site = await createSite(ca)
    const text = await run('check', '-c', site.file)
    expect(text).toMatch(/warning: store\.kekFile: \S.* is not there yet: "keyspring store init"/)
    expect(text).toMatch(/warning: store\.path: \S.* is not there yet: "keyspring store init"/)
    expect(text).toMatch(/warning: links\[0\]\.devices\[0\]\.options\.directory: \S.* is not there/)
    const { store, links } = (await examineConfig(site.file)).config
    const device = links[0]?.devices[0]
    if (store.type !== 'sqlite' || device?.driver !== 'key-files') throw new TypeError('sample')
    await mkdir(device.options.directory, { recursive: true })
    await mkdir(dirname(store.path), { recursive: true })
    await writeFile(store.path, '')
    await writeFile(store.kekFile, 'k'.repeat(64), { mode: 0o600 })
    expect(await run('check', '-c', site.file)).not.toContain('is not there')
  })

  test('ends with CONFIG_INVALID and prints the problems as JSON where that was asked for', async () => {
    await using site = await createSite(ca)
    await site.configure({ 'links[0].keySizeBits': 257 })
    const lines = await errorLines(start('check', '-c', site.file).done)
    expect(lines).toHaveLength(1)
    const { done, written } = start('check', '--json', '-c', site.file)
    await expect(done).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    expect(JSON.parse(written.join('\n'))).toEqual({
      ok: false,
      problems: [
        {
          file: site.file,
          line: expect.any(Number),
          option: 'links[0].keySizeBits',
          problem: 'expected a multiple of 8, got 257',
        },
      ],
    })
  })
})

describe('warnings', () => {
  const fact = (validTo: string, validFrom = '2020-01-01T00:00:00Z') => ({
    option: 'o',
    file: '/f.pem',
    subject: 'CN=x',
    validFrom: new Date(validFrom),
    validTo: new Date(validTo),
  })
  const warningsAt = (now: string, validTo: string) =>
    configWarnings(
      { config: parseDraft(), certificates: [fact(validTo)], missing: [] },
      new Date(now),
    )

  test('tell a certificate that has expired, and not one with 30 days to go', () => {
    expect(warningsAt('2030-02-01T00:00:01Z', '2030-02-01T00:00:00Z')).toEqual([
      'o: the certificate "CN=x" has expired on 2030-02-01 (/f.pem)',
    ])
    expect(warningsAt('2030-01-01T00:00:00Z', '2030-01-31T00:00:00Z')).toEqual([])
    expect(warningsAt('2030-01-01T00:00:01Z', '2030-01-31T00:00:00Z')).toHaveLength(1)
  })

  test('tell a certificate that is not valid yet', () => {
    const now = new Date('2030-01-01T00:00:00Z')
    const later = fact('2032-01-01T00:00:00Z', '2031-01-01T00:00:00Z')
    expect(certificateWarnings([later], now)).toEqual([
      'o: the certificate "CN=x" is not valid before 2031-01-01 (/f.pem)',
    ])
  })

  test('tell a configuration that could never deliver a key', () => {
    const config = parseDraft({ links: [] })
    expect(configWarnings({ config, certificates: [], missing: [] }, new Date())).toEqual([
      'no link is configured: no key can be delivered',
      'the peer "kme-b" has no link',
    ])
  })
})

describe('keyspring config reference', () => {
  test('prints the reference, and with --json a schema that refuses unknown options', async () => {
    expect(await run('reference')).toBe(configReference())
    expect(JSON.parse(await run('reference', '--json'))).toMatchObject({
      type: 'object',
      additionalProperties: false,
      properties: { links: { items: { properties: { keySizeBits: { default: 256 } } } } },
    })
  })
})
