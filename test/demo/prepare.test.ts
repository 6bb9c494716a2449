import { describe, expect, test } from '@jest/globals'
import { X509Certificate } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { loadConfig, parseConfig } from '../../src/config/load.ts'
import { makeCertificates } from '../../src/demo/certificates.ts'
import { shellWord } from '../../src/demo/commands.ts'
import { kmeConfigText } from '../../src/demo/kme-config.ts'
import { type DemoLayout, demoLayout, sitesOf } from '../../src/demo/layout.ts'
import { prepareDemo } from '../../src/demo/prepare.ts'
import { issueCertificate } from '../../src/pki/issue.ts'
import { fakeProgram, optionsFor, temporaryFolder } from './fixture.ts'

const DAY_MS = 86_400_000

const withFolders = (dir: string): DemoLayout => {
  const layout = demoLayout(dir, 8440)
  for (const { folder } of sitesOf(layout)) mkdirSync(folder, { recursive: true })
  return layout
}

describe('what the demo makes', () => {
  test('both configurations are sound, and are two ends of one link', async () => {
    using folder = temporaryFolder()
    const layout = withFolders(folder.path)
    const stop = new AbortController().signal
    const made = await prepareDemo(
      layout,
      optionsFor(folder.path, undefined),
      fakeProgram(folder.path, ''),
      stop,
    )

    const [a, b] = await Promise.all(
      sitesOf(layout).map(({ configFile }) => loadConfig(configFile)),
    )

    expect(made).toEqual([
      'three CAs: for KMEs, SAEs and operators',
      'certificates for kme-a, sae-a, kme-b, sae-b, operator',
      'a store and its key-encryption key for each KME',
    ])
    expect(a?.peers[0]).toMatchObject({ id: 'kme-b', port: b?.listeners.peer?.port })
    expect(b?.peers[0]).toMatchObject({ id: 'kme-a', port: a?.listeners.peer?.port })
    expect(a?.links[0]?.id).toBe(b?.links[0]?.id)
    expect([a, b].map((one) => one?.links[0]?.devices[0]?.role)).toEqual(['leader', 'follower'])
  })

  test.each([
    ['entry', 1, 512],
    ['entry', 10, 8192],
    ['metro-hi', 1, 32_768],
    ['metro-hi', 1000, 1_048_576],
  ] as const)('blocks of %s at speed %d have %d bytes', (preset, speedUp, bytes) => {
    const layout = demoLayout('/demo', 8440)
    const options = { ...optionsFor('/demo', undefined), preset, speedUp }

    const config = parseConfig(kmeConfigText(layout, layout.a, options), layout.a.configFile)

    expect(config.links[0]?.devices[0]?.options).toMatchObject({
      preset,
      speedUp,
      blockBytes: bytes,
    })
  })

  test('what an interrupted start left is made whole, and what is good is kept', async () => {
    using folder = temporaryFolder()
    const layout = withFolders(folder.path)
    await makeCertificates(layout)
    const kept = readFileSync(layout.b.certFile, 'utf8')
    mkdirSync(join(`${layout.pkiDir}.new`, 'sae-ca'), { recursive: true })
    rmSync(layout.a.certFile)
    writeFileSync(layout.a.sae.certFile, readFileSync(layout.b.sae.certFile))

    expect(await makeCertificates(layout)).toEqual(['certificates for kme-a, sae-a'])
    expect(readFileSync(layout.b.certFile, 'utf8')).toBe(kept)
    expect(await makeCertificates(layout)).toEqual([])
  })

  test('a certificate that is about to end is replaced', async () => {
    using folder = temporaryFolder()
    const layout = withFolders(folder.path)
    await makeCertificates(layout)
    for (const file of [layout.operator.certFile, layout.operator.keyFile]) rmSync(file)
    const out = dirname(layout.operator.certFile)
    await issueCertificate(layout.pkiDir, { role: 'operator', name: 'operator', out, days: 7 })

    expect(await makeCertificates(layout)).toEqual(['certificates for operator'])

    const { validToDate } = new X509Certificate(readFileSync(layout.operator.certFile))
    expect(validToDate.getTime()).toBeGreaterThan(Date.now() + 300 * DAY_MS)
  })

  test('words for the shell are quoted where they have to be', () => {
    expect(['/tmp/demo-1', "/my demo's", '$HOME', ''].map(shellWord)).toEqual([
      '/tmp/demo-1',
      String.raw`'/my demo'\''s'`,
      "'$HOME'",
      "''",
    ])
  })
})
