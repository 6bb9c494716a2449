import { describe, expect, test } from '@jest/globals'
import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { demoLayout, portsOf, sitesOf } from '../../src/demo/layout.ts'
import { eventually } from '../helpers/eventually.ts'
import { freePortBase, isListening, startDemo, temporaryFolder } from './fixture.ts'

const modeOf = (path: string): number => statSync(path).mode & 0o777

const serialOf = (file: string): string => new X509Certificate(readFileSync(file)).serialNumber

const nothingListens = async (ports: readonly number[]): Promise<boolean> =>
  !(await Promise.all(ports.map(isListening))).includes(true)

describe('the demo as a process', () => {
  test('makes everything, delivers one key at both ends, ends; goes on with it the next time; leaves nothing running', async () => {
    using folder = temporaryFolder()
    const dir = join(folder.path, 'the demo')
    const layout = demoLayout(dir, await freePortBase())

    // The first start, from nothing.
    using first = startDemo('--once', '--dir', dir, '--port-base', String(layout.portBase))
    expect([await first.ended, first.output()]).toEqual([
      0,
      expect.stringContaining('sae-b fetched it at the other KME: the same bytes at both ends'),
    ])
    expect(first.output()).toContain('three CAs')
    expect(modeOf(dir)).toBe(0o700)
    for (const file of [
      layout.secretFile,
      layout.a.keyFile,
      layout.a.kekFile,
      layout.b.sae.keyFile,
    ])
      expect(modeOf(file)).toBe(0o600)
    expect(await nothingListens(portsOf(layout))).toBe(true)

    // The second one keeps certificates, stores and ports; a second demo has no room beside it.
    const serials = sitesOf(layout).map(({ certFile }) => serialOf(certFile))
    using second = startDemo('--dir', dir)
    await second.wrote('Keys are there')
    expect(second.output()).toContain('Everything is there from the last time')
    expect(sitesOf(layout).map(({ certFile }) => serialOf(certFile))).toEqual(serials)
    using beside = startDemo('--dir', dir)
    expect([await beside.ended, beside.output()]).toEqual([
      2,
      expect.stringMatching(/^keyspring: a demo runs in .+ already \(process \d+\): .+\n$/),
    ])

    // What it shows works with curl and a shell alone.
    const said = execFileSync('sh', [layout.scriptFile], { encoding: 'utf8' }).trim().split('\n')
    expect(JSON.parse(said[0] ?? '')).toMatchObject({
      source_KME_ID: 'kme-a',
      slave_SAE_ID: 'sae-b',
    })
    const [drawn, fetched] = said.slice(1).map((line) => JSON.parse(line) as unknown)
    expect(drawn).toMatchObject({ keys: [{ key_ID: expect.any(String), key: expect.any(String) }] })
    expect(JSON.stringify(drawn) === JSON.stringify(fetched)).toBe(true)

    // Ctrl-C, twice as npm makes of it, ends both KMEs in order.
    second.child.kill('SIGINT')
    second.child.kill('SIGINT')
    expect(await second.ended).toBe(0)
    expect(second.output()).toContain('Both KMEs have ended')
    for (const { logFile } of sitesOf(layout))
      expect(readFileSync(logFile, 'utf8')).toMatch(/keyspring: stopped\n$/)
    expect(await nothingListens(portsOf(layout))).toBe(true)
  }, 180_000)

  test('no KME outlives a demo that is killed', async () => {
    using folder = temporaryFolder()
    const layout = demoLayout(folder.path, await freePortBase())
    using demo = startDemo('--json', '--dir', folder.path, '--port-base', String(layout.portBase))
    await demo.wrote('"event":"ready"')

    demo.child.kill('SIGKILL')

    await demo.ended
    await eventually(() => nothingListens(portsOf(layout)))
    for (const { logFile } of sitesOf(layout))
      await eventually(() => readFileSync(logFile, 'utf8').endsWith('keyspring: stopped\n'))
  }, 120_000)
})
