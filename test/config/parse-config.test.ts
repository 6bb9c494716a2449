import { describe, expect, test } from '@jest/globals'
import { parseConfig } from '../../src/config/load.ts'
import { draft, parseDraft, problemLines, problemsOf } from './sample.ts'

const linesOf = (text: string) => problemLines(() => parseConfig(text, 'config/a.yaml'))

describe('a configuration that is fine', () => {
  test('has every default filled in', () => {
    const { listeners, links, saes, allowSimulated, log } = parseDraft()
    expect(listeners.sae).toMatchObject({
      host: '0.0.0.0',
      handshakeTimeoutMs: 10_000,
      headersTimeoutMs: 10_000,
      bodyTimeoutMs: 15_000,
      minTlsVersion: 'TLSv1.2',
      maxBodyBytes: 16_384,
    })
    expect(listeners.admin.host).toBe('127.0.0.1')
    expect(listeners.probes).toBeUndefined()
    expect(links[0]).toMatchObject({
      confirm: 'peer',
      confirmDeadlineMs: 2000,
      keySizeBits: 256,
      minKeySizeBits: 64,
      maxKeySizeBits: 4096,
      maxKeysPerRequest: 128,
      maxAdditionalSlaves: 16,
      poolKeys: 100_000,
      highWaterPercent: 80,
      lowWaterPercent: 60,
      keyLifetimeS: 86_400,
      redeliveryWindowS: 0,
    })
    expect(links[0]?.devices[0]?.settleS).toBe(120)
    expect(saes[0]?.loopback).toBe(false)
    expect(allowSimulated).toBe(false)
    expect(log.level).toBe('info')
  })

  test('has its relative paths made absolute from the folder of the file, and absolute ones left alone', () => {
    const config = parseDraft({
      'listeners.sae.keyFile': '/run/secrets/kme.key',
      'listeners.sae.cas[0].crlFile': '../crl/saes.pem',
      'listeners.probes': { socket: 'probes.sock' },
    })
    expect(config.listeners.sae.certFile).toBe('/etc/keyspring/kme.pem')
    expect(config.listeners.sae.keyFile).toBe('/run/secrets/kme.key')
    expect(config.listeners.sae.cas[0]).toMatchObject({
      files: ['/etc/keyspring/ca.pem'],
      crlFile: '/etc/crl/saes.pem',
    })
    expect(config.listeners.probes?.socket).toBe('/etc/keyspring/probes.sock')
    expect(config.store).toMatchObject({
      path: '/etc/keyspring/kme.db',
      kekFile: '/etc/keyspring/kek.key',
    })
    expect(config.links[0]?.devices[0]?.options).toMatchObject({
      directory: '/etc/keyspring/in-d1-leader',
    })
  })

  test('is frozen to its depths', () => {
    const config = parseDraft()
    expect(Object.isFrozen(config)).toBe(true)
    expect(Object.isFrozen(config.links[0]?.devices[0]?.options)).toBe(true)
    expect(() => {
      ;(config.saes as unknown[]).push({})
    }).toThrow(TypeError)
  })

  test('takes an SAE ID of 291 characters outside the basic plane, commas and slashes', () => {
    const id = `CN=a,OU=b/${'\u{1F511}'.repeat(281)}`
    expect(parseDraft({ 'saes[0].id': id }).saes[0]?.id).toBe(id)
  })

  test('may use a few aliases, and begin with a byte order mark', () => {
    const text = JSON.stringify(draft())
    expect(parseConfig(`\uFEFF${text}`, 'a.yaml').kme.id).toBe('kme-a')
    const lines = linesOf('kme: &k {id: a}\nlog: *k')
    expect(lines).toContain('config/a.yaml:1: log.id: unknown option')
  })
})

describe('an error', () => {
  test('names file, line and option', () => {
    expect(
      linesOf(JSON.stringify(draft()).replace('"links":[{', '\n\n"links":[{\n"keySizeBits":257,')),
    ).toEqual(['config/a.yaml:4: links[0].keySizeBits: expected a multiple of 8, got 257'])
  })

  test('is told together with all others, in the order of the file', () => {
    const lines = linesOf('version: 1\nlog: {level: loud}\nsaes: 3\n')
    expect(lines.slice(-2)).toEqual([
      'config/a.yaml:2: log.level: expected one of error, warn, info, debug, got "loud"',
      'config/a.yaml:3: saes: expected a list, got 3',
    ])
    expect(lines).toContain('config/a.yaml:1: kme: is missing: This KME')
  })

  test('carries file, line, option and problem for programs', () => {
    let details: unknown
    try {
      parseConfig('version: 1\nlog: {level: 3}', 'a.yaml')
    } catch (error) {
      details = (error as { details?: unknown }).details
    }
    expect(details).toContainEqual({
      file: 'a.yaml',
      line: 2,
      option: 'log.level',
      problem: 'expected one of error, warn, info, debug, got 3',
    })
  })

  test.each([
    ['keySize', 'keySizeBits'],
    ['keysizebits', 'keySizeBits'],
    ['poolKey', 'poolKeys'],
    ['confirm-deadline-ms', 'confirmDeadlineMs'],
  ])('suggests for the unknown option %s the option %s', (unknown, meant) => {
    expect(problemsOf({ [`links[0].${unknown}`]: 1 })).toEqual([
      `links[0].${unknown}: unknown option; did you mean ${meant}?`,
    ])
  })

  test.each(['constructor', 'toString'])('refuses the option %s of a link as unknown', (name) => {
    const lines = problemsOf({ [`links[0].${name}`]: 1 })
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatch(`links[0].${name}: unknown option`)
  })

  test('refuses __proto__ as unknown and pollutes nothing', () => {
    const text = JSON.stringify(draft()).replace(
      '{"version"',
      '{"__proto__":{"polluted":1},"version"',
    )
    expect(linesOf(text)).toEqual(['config/a.yaml:1: __proto__: unknown option'])
    expect(({} as { polluted?: number }).polluted).toBeUndefined()
  })

  test('stays one line for names and values with line breaks and controls', () => {
    const lines = problemsOf({ 'a\nb\u001b': 1, log: { level: 'x\ny'.repeat(100) } })
    expect(lines).toHaveLength(2)
    for (const line of lines) expect(line).not.toMatch(/\p{Cc}/u)
  })

  test.each([
    [{ 'links[0].confirm': 'none' }, 'links[0].confirm: expected one of peer, local, got "none"'],
    [{ version: 2 }, 'version: expected 1, got 2'],
    [{ version: undefined }, 'version: is missing'],
    [{ 'store.type': 'postgres' }, 'store.type: expected one of sqlite, memory, got "postgres"'],
    [{ 'store.type': undefined }, 'store.type: is missing'],
    [{ store: { type: 'memory', path: 'x' } }, 'store.path: unknown option'],
    [{ 'links[0].devices[0].driver': 'key-file' }, 'did you mean key-files?'],
    [{ 'links[0].devices[0].options.directory': undefined }, 'options.directory: is missing'],
    [{ 'listeners.sae.port': '8443' }, 'listeners.sae.port: expected a whole number, got "8443"'],
    [{ 'listeners.sae.port': 84.5 }, 'listeners.sae.port: expected a whole number, got 84.5'],
    [{ 'listeners.sae.port': 70_000 }, 'listeners.sae.port: expected at most 65535, got 70000'],
    [{ 'listeners.sae.cas': [] }, 'listeners.sae.cas: expected at least 1'],
    [
      { 'listeners.sae.host': 'a:443/x' },
      'listeners.sae.host: expected a host name or an IP address',
    ],
    [{ 'listeners.sae.minTlsVersion': 1.2 }, 'expected one of TLSv1.2, TLSv1.3, got 1.2'],
    [{ 'saes[0].id': '' }, 'saes[0].id: is empty'],
    [{ 'saes[0].id': 'x'.repeat(292) }, 'saes[0].id: is longer than 291 characters'],
    [{ 'saes[0].id': 'sae-1 ' }, 'leading or trailing blanks'],
    [{ 'saes[0].id': 'sae\u00001' }, 'holds a NUL'],
    [{ 'saes[0].id': 17 }, 'saes[0].id: expected text, got 17'],
    [{ saes: null }, 'saes: expected a list, got nothing'],
    [{ 'links[0].id': 'a b' }, 'links[0].id: expected 1 to 64 letters'],
    [
      { 'identity.rules': [{ ca: 'saes', from: 'spki', pins: { AB: 'x' } }] },
      'identity.rules[0].pins.AB: expected 64 lower-case hex digits',
    ],
    [{ 'identity.rules': [] }, 'identity.rules: expected at least 1'],
    [{ 'store.path': 'a\u0000b' }, 'store.path: a path holds no NUL'],
  ])('says in one line what is expected (case %#)', (change, expected) => {
    const lines = problemsOf(change)
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain(expected)
  })
})

describe('text that is no acceptable YAML', () => {
  test.each([
    ['', /^config\/a\.yaml:1: the file holds no configuration/],
    ['# only a comment\n', /:1: the file holds no configuration/],
    ['version: 1\nkme: {id: a}\nversion: 1\n', /:3: "version" is there twice$/],
    ['version: 1\n---\nversion: 1\n', /:2: a configuration is one document/],
    ['kme:\n\tid: a\n', /:2: not valid YAML: Tabs are not allowed as indentation$/],
    ['kme: [1, 2\n', /not valid YAML/],
    ['- 1\n', /:1: expected a group of options, got a list$/],
    ['just text', /:1: expected a group of options, got "just text"$/],
    ['kme: *none\n', /:1: not valid YAML: Unresolved alias/],
    ['kme: &a\n  id: *a\n', /not valid YAML|not a configuration|expected/],
    ['kme: !!js/function x\n', /:1: .*tag/i],
    ['? {a: 1}\n: 2\n', /:1: an option name must be a word$/],
    [
      'a: &a [1,1]\nb: &b [*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c]\n',
      /Excessive alias count/,
    ],
    [`a: &a 1\nb: [${Array(101).fill('*a').join(',')}]\n`, /:2: more than 100 aliases$/],
  ])('%j is refused with one line', (text, expected) => {
    const lines = linesOf(text)
    expect(lines.filter((line) => expected.test(line))).toHaveLength(1)
  })

  test.each([
    ['['.repeat(20_000)],
    ['['.repeat(3000) + ']'.repeat(3000)],
    ['['.repeat(100) + ']'.repeat(100)],
    [Array.from({ length: 1400 }, (_, depth) => ' '.repeat(depth) + 'a:').join('\n')],
  ])('is refused where it is nested too deeply (case %#)', (text) => {
    const lines = linesOf(text)
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain('nested too deeply')
  })

  test('with very many mistakes is answered with the first hundred and a count', () => {
    const lines = linesOf(Array.from({ length: 500 }, (_, n) => `k${String(n)}: 1`).join('\n'))
    expect(lines).toHaveLength(101)
    expect(lines.at(-1)).toMatch(/^config\/a\.yaml: and 40\d more problems$/)
  })

  test('is refused without trying the rest, so that one slip is one line', () => {
    expect(linesOf('a: [[[')).toHaveLength(1)
  })
})
