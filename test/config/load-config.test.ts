import { generateKeyPairSync } from 'node:crypto'
import { chmod, mkdir, rm, symlink } from 'node:fs/promises'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { loadConfig } from '../../src/config/load.ts'
import { type TestCa, createTestCa } from '../helpers/test-ca.ts'
import { createSite, errorLines } from './site.ts'

let ca: TestCa

beforeAll(async () => {
  ca = await createTestCa()
})

test('a configuration whose files are all there is loaded, in a folder with a blank in its name', async () => {
  await using site = await createSite(ca)
  const config = await loadConfig(site.file)
  expect(config.listeners.sae.certFile).toBe(site.path('kme.pem'))
  expect(Object.isFrozen(config.listeners)).toBe(true)
})

test.each([['p384'], ['rsa2048']] as const)(
  'a %s certificate with its key is taken',
  async (algorithm) => {
    await using site = await createSite(ca)
    await site.certify({ algorithm })
    await expect(loadConfig(site.file)).resolves.toMatchObject({ version: 1 })
  },
)

describe('the configuration file itself', () => {
  test('is refused in one line where it is missing, a folder, too large, or no UTF-8', async () => {
    await using site = await createSite(ca)
    const missing = site.path('none.yaml')
    expect(await errorLines(loadConfig(missing))).toEqual([`${missing}: no such file`])
    expect(await errorLines(loadConfig(site.folder))).toEqual([
      `${site.folder}: is a directory, not a file`,
    ])
    await site.write('large.yaml', Buffer.alloc(1_048_577, '#'))
    expect(await errorLines(loadConfig(site.path('large.yaml')))).toEqual([
      `${site.path('large.yaml')}: is larger than 1048576 bytes`,
    ])
    await site.write('utf16.yaml', Buffer.from('\uFEFFversion: 1', 'utf16le'))
    expect(await errorLines(loadConfig(site.path('utf16.yaml')))).toEqual([
      `${site.path('utf16.yaml')}: is not UTF-8 text`,
    ])
  })

  test('may be read by everyone', async () => {
    await using site = await createSite(ca)
    await chmod(site.file, 0o644)
    await expect(loadConfig(site.file)).resolves.toMatchObject({ version: 1 })
  })
})

/** Site, change, and what the one line says after the file name. */
const cases: readonly [
  string,
  (site: Awaited<ReturnType<typeof createSite>>) => Promise<void>,
  RegExp,
][] = [
  [
    'a missing certificate',
    (site) => rm(site.path('kme.pem')),
    /:\d+: listeners\.\w+\.certFile: .*kme\.pem: no such file$/,
  ],
  [
    'a certificate that is none',
    (site) => site.write('kme.pem', 'x'),
    /certFile: .*holds no PEM certificate/,
  ],
  [
    'a damaged certificate',
    (site) =>
      site.write('kme.pem', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'),
    /certFile: .*certificate 1 in it cannot be read$/,
  ],
  ['a missing key', (site) => rm(site.path('kme.key')), /keyFile: .*kme\.key: no such file$/],
  [
    'a key that the group can read',
    (site) => chmod(site.path('kme.key'), 0o640),
    /keyFile: .*group or others can access it \(mode 0640\): run chmod 600/,
  ],
  [
    'a key that others can write',
    (site) => chmod(site.path('kme.key'), 0o602),
    /keyFile: .*\(mode 0602\)/,
  ],
  [
    'a key that is none',
    (site) => site.write('kme.key', 'secret text'),
    /keyFile: .*holds no PEM private key$/,
  ],
  [
    'a key of another certificate',
    async (site) => site.write('kme.key', (await site.ca.issue('other')).key),
    /keyFile: .*is not the private key of the certificate in certFile$/,
  ],
  [
    'an encrypted key',
    (site) => {
      const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const pem = privateKey.export({
        type: 'pkcs8',
        format: 'pem',
        cipher: 'aes-256-cbc',
        passphrase: 'p',
      })
      return site.write('kme.key', pem)
    },
    /keyFile: .*is encrypted: Keyspring has no passphrase/,
  ],
  [
    'a certificate for clients only',
    (site) => site.certify({ eku: ['clientAuth'] }),
    /certFile: .*its extended key usage is not for TLS servers/,
  ],
  [
    'a CA bundle that is missing',
    (site) => rm(site.path('ca.pem')),
    /cas\[0\]\.files\[0\]: .*no such file$/,
  ],
  [
    'a leaf in a CA bundle',
    async (site) => site.write('ca.pem', site.ca.ca + '\n' + (await site.ca.issue('leaf')).cert),
    /cas\[0\]\.files\[0\]: .*"CN=leaf" in it is not a CA certificate$/,
  ],
]

describe('a file that it names', () => {
  test.each(cases)('%s is one line per option that names it', async (_, change, expected) => {
    await using site = await createSite(ca)
    await change(site)
    const lines = await errorLines(loadConfig(site.file))
    expect(lines).toHaveLength(3)
    for (const line of lines) expect(line).toMatch(expected)
    for (const line of lines) expect(line.startsWith(`${site.file}:`)).toBe(true)
    expect(lines.join()).not.toContain('secret text')
  })

  test('a certificate of the peer listener must serve for calls as well', async () => {
    await using site = await createSite(ca)
    await site.certify({ eku: ['serverAuth'] })
    expect(await errorLines(loadConfig(site.file))).toEqual([
      expect.stringMatching(/listeners\.peer\.certFile: .*TLS servers and clients/),
    ])
  })

  test('a certificate without extended key usage is taken', async () => {
    await using site = await createSite(ca)
    await site.certify({ eku: [] })
    await expect(loadConfig(site.file)).resolves.toMatchObject({ version: 1 })
  })

  test('a revocation list must be one', async () => {
    await using site = await createSite(ca)
    await site.configure({ 'listeners.sae.cas[0].crlFile': 'crl.pem' })
    await site.write('crl.pem', await ca.crl([]))
    await expect(loadConfig(site.file)).resolves.toMatchObject({ version: 1 })
    for (const content of [ca.ca, '', 'x']) {
      await site.write('crl.pem', content)
      expect(await errorLines(loadConfig(site.file))).toEqual([
        expect.stringMatching(/cas\[0\]\.crlFile: .*holds no PEM revocation list/),
      ])
    }
  })

  test('the key-encryption key may be missing until it is required, and must be private', async () => {
    await using site = await createSite(ca)
    await expect(loadConfig(site.file)).resolves.toMatchObject({ version: 1 })
    expect(await errorLines(loadConfig(site.file, { requireKek: true }))).toEqual([
      expect.stringMatching(/:\d+: store\.kekFile: .*kek\.key: no such file$/),
    ])
    await site.write('kek.key', 'k'.repeat(64), 0o644)
    expect(await errorLines(loadConfig(site.file))).toEqual([
      expect.stringMatching(/store\.kekFile: .*group or others can access it \(mode 0644\)/),
    ])
    await chmod(site.path('kek.key'), 0o400)
    await expect(loadConfig(site.file, { requireKek: true })).resolves.toMatchObject({ version: 1 })
  })

  test('the secret of a simulated device must be private', async () => {
    await using site = await createSite(ca)
    await site.configure({
      allowSimulated: true,
      'links[0].devices': [
        {
          id: 's',
          role: 'leader',
          driver: 'simulator',
          options: { listen: { port: 0 }, secretFile: 'sim.key' },
        },
      ],
    })
    await site.write('sim.key', 's'.repeat(32), 0o604)
    expect(await errorLines(loadConfig(site.file))).toEqual([
      expect.stringMatching(/links\[0\]\.devices\[0\]\.options\.secretFile: .*\(mode 0604\)/),
    ])
  })

  test('problems of files and of options that do not fit are told together', async () => {
    await using site = await createSite(ca)
    await site.configure({ 'saes[0].ca': 'none' })
    await rm(site.path('ca.pem'))
    expect(await errorLines(loadConfig(site.file))).toHaveLength(4)
  })
})

const KEY_IN_CREDENTIALS = Object.fromEntries(
  ['sae', 'peer', 'admin'].map((name) => [`listeners.${name}.keyFile`, 'credentials/kme.key']),
)

describe('a credentials directory', () => {
  test('may hold keys that the group can read, and nothing outside it may', async () => {
    await using site = await createSite(ca)
    const { cert, key } = await ca.issue('kme-a')
    await site.write('kme.pem', cert, 0o644)
    await site.write('credentials/kme.key', key, 0o440)
    await site.configure(KEY_IN_CREDENTIALS)
    const load = (credentialsDirectory?: string) => loadConfig(site.file, { credentialsDirectory })
    await expect(load(site.path('credentials'))).resolves.toMatchObject({ version: 1 })
    expect(await errorLines(load())).toHaveLength(3)
    // A folder whose name only begins alike, one that is not there, and none.
    await mkdir(site.path('credentials-other'))
    for (const other of [site.path('credentials-other'), site.path('none'), '']) {
      expect(await errorLines(load(other))).toHaveLength(3)
    }
  })

  test('is not left through a symbolic link', async () => {
    await using site = await createSite(ca)
    await mkdir(site.path('credentials'))
    await chmod(site.path('kme.key'), 0o640)
    await symlink(site.path('kme.key'), site.path('credentials/kme.key'))
    await site.configure(KEY_IN_CREDENTIALS)
    const load = loadConfig(site.file, { credentialsDirectory: site.path('credentials') })
    expect(await errorLines(load)).toHaveLength(3)
  })
})
