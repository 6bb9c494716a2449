import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { chmod } from 'node:fs/promises'
import { type Server, createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { run } from '../../src/cli/run.ts'
import { type Site, createSite } from '../config/site.ts'
import { type TestCa, createTestCa } from '../helpers/test-ca.ts'
import { RecordingIo } from './cli-fixture.ts'

const KEY_ID = 'bc490419-7d60-487f-adc1-4ddcc177c139'
const KEY = Buffer.alloc(32, 7).toString('base64')

let ca: TestCa
let site: Site
let server: Server
const asked: string[] = []

/** Says what a KME would: the standard's answers, whatever KME it is. */
const ANSWERS: Readonly<Record<string, [number, unknown]>> = {
  '/api/v1/keys/sae-b/enc_keys': [200, { keys: [{ key_ID: KEY_ID, key: KEY }] }],
  '/api/v1/keys/sae-a/dec_keys': [200, { keys: [{ key_ID: KEY_ID, key: KEY }] }],
  '/api/v1/keys/sae-x/enc_keys': [503, { message: 'the link has no keys' }],
  '/api/v1/keys/sae-b/status': [
    200,
    {
      source_KME_ID: 'kme-a',
      target_KME_ID: 'kme-b',
      master_SAE_ID: 'sae-a',
      slave_SAE_ID: 'sae-b',
      key_size: 256,
      stored_key_count: 12,
      max_key_count: 100,
      max_key_per_request: 128,
      max_key_size: 4096,
      min_key_size: 64,
      max_SAE_ID_count: 16,
    },
  ],
}

beforeAll(async () => {
  ca = await createTestCa()
  site = await createSite(ca)
  const { cert, key } = await ca.issue('kme')
  server = createServer({ cert, key, ca: ca.ca, requestCert: true }, (request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => (body += text))
    request.on('end', () => {
      asked.push(body)
      const [status, answer] = ANSWERS[request.url ?? ''] ?? [404, { message: 'no' }]
      response.writeHead(status, { 'Content-Type': 'application/json' })
      response.end(JSON.stringify(answer))
    })
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
})
afterAll(async () => {
  server.close()
  await site[Symbol.asyncDispose]()
})

/** As an SAE with the files of the site, one of them another where that is said. */
const keysWith = async (
  words: readonly string[],
  { cert = 'kme.pem', key = 'kme.key', ca = 'ca.pem' } = {},
): Promise<RecordingIo & { code: number }> => {
  const { port } = server.address() as AddressInfo
  const io = new RecordingIo()
  const files = ['--cert', site.path(cert), '--key', site.path(key), '--ca', site.path(ca)]
  const code = await run(['keys', ...words, ...files, '--url', `https://127.0.0.1:${port}`], io)
  return Object.assign(io, { code })
}

const keys = (...words: readonly string[]): Promise<RecordingIo & { code: number }> =>
  keysWith(words)

describe('`keyspring keys`', () => {
  test('get draws keys and prints the container of the standard', async () => {
    const { code, outLines, errLines } = await keys(
      'get',
      'sae-b',
      '--number',
      '1',
      '--size',
      '256',
      '--also',
      'sae-c',
    )
    expect([code, errLines]).toEqual([0, []])
    expect(JSON.parse(outLines.join('\n'))).toEqual({ keys: [{ key_ID: KEY_ID, key: KEY }] })
    expect(JSON.parse(asked.at(-1) ?? '')).toEqual({
      number: 1,
      size: 256,
      additional_slave_SAE_IDs: ['sae-c'],
    })
  })

  test('fetch gets them by their IDs', async () => {
    const { code, outLines } = await keys('fetch', 'sae-a', KEY_ID)
    expect(code).toBe(0)
    expect(JSON.parse(outLines.join('\n'))).toEqual({ keys: [{ key_ID: KEY_ID, key: KEY }] })
  })

  test('status is for people, and as it came with --json', async () => {
    expect((await keys('status', 'sae-b')).outLines).toEqual([
      'from      sae-a at kme-a',
      'to        sae-b at kme-b',
      'keys      12 of 100',
      'size      256 bit unless asked otherwise, 64 bit to 4096 bit',
      'per call  128 keys at most',
      'slaves    16 more at most',
    ])
    const { outLines } = await keys('status', 'sae-b', '--json')
    expect(JSON.parse(outLines.join('\n'))).toMatchObject({ stored_key_count: 12 })
  })

  test('a refusal of the KME is one line and exit code 1', async () => {
    const { code, outLines, errLines } = await keys('get', 'sae-x')
    expect([code, outLines]).toEqual([1, []])
    expect(errLines).toHaveLength(1)
    expect(errLines[0]).toMatch(/^keyspring: .*the link has no keys/)
  })

  test('a private key that others can read is refused before anything is asked', async () => {
    await chmod(site.path('kme.key'), 0o644)
    const before = asked.length
    const { code, errLines } = await keys('status', 'sae-b')
    expect([code, asked.length]).toEqual([2, before])
    expect(errLines[0]).toContain('kme.key: group or others can access it')
    await chmod(site.path('kme.key'), 0o600)
  })

  test('a file that is not what its option says is named before anything is asked', async () => {
    const other = await ca.issue('other')
    await site.write('other.key', other.key)
    await site.write('words.txt', 'no PEM')
    const before = asked.length
    const first = async (files: Parameters<typeof keysWith>[1]) => {
      const { code, errLines } = await keysWith(['status', 'sae-b'], files)
      return [code, errLines.length, errLines[0]]
    }
    expect(await first({ cert: 'words.txt' })).toEqual([
      2,
      1,
      expect.stringMatching(/words\.txt: holds no PEM certificate/),
    ])
    expect(await first({ ca: 'words.txt' })).toEqual([
      2,
      1,
      expect.stringMatching(/words\.txt: holds no PEM certificate/),
    ])
    expect(await first({ key: 'words.txt' })).toEqual([
      2,
      1,
      expect.stringMatching(/words\.txt: holds no PEM private key/),
    ])
    expect(await first({ key: 'other.key' })).toEqual([
      2,
      1,
      expect.stringMatching(/other\.key: is not the private key of the certificate in .*kme\.pem$/),
    ])
    expect(asked).toHaveLength(before)
  })

  test('a KME of another CA, and one that does not take the certificate, are told in plain words', async () => {
    const stranger = await createTestCa()
    await site.write('stranger-ca.pem', stranger.ca)
    const issued = await stranger.issue('sae-a')
    await site.write('stranger.pem', issued.cert)
    await site.write('stranger.key', issued.key)
    const untrusted = await keysWith(['status', 'sae-b'], { ca: 'stranger-ca.pem' })
    expect(untrusted.code).toBe(1)
    expect(untrusted.errLines).toEqual([
      expect.stringMatching(/127\.0\.0\.1:\d+: its certificate is not from the CA in --ca$/),
    ])
    const refused = await keysWith(['status', 'sae-b'], {
      cert: 'stranger.pem',
      key: 'stranger.key',
    })
    expect(refused.code).toBe(1)
    expect(refused.errLines).toEqual([expect.stringMatching(/certificate in --cert/)])
  })
})
