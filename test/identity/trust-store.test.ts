import { X509Certificate } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { describe, expect, test } from '@jest/globals'
import { byRules } from '../../src/identity/identify.ts'
import { IdentityResolver } from '../../src/identity/resolver.ts'
import type { TrustStore } from '../../src/identity/trust-store.ts'
import { type TestCertificate, createTestCa } from '../helpers/test-ca.ts'
import { type TrustParts, trustParts } from './trust-parts.ts'

const DAY_MS = 86_400_000

const resolverOf = (parts: TrustParts, trust: TrustStore) =>
  new IdentityResolver({
    trust,
    identify: byRules([{ ca: 'a', from: 'cn', allowMissingEku: false }]),
    clock: parts.clock,
  })

/** 'sae-1', or the code of the refusal. */
const examine = (resolver: IdentityResolver, { cert }: TestCertificate): string => {
  const resolution = resolver.examine(new X509Certificate(cert))
  return 'identity' in resolution ? resolution.identity.id : resolution.refusal.code
}

const setUp = async (parts: TrustParts, crlExpired: 'refuse' | 'warn' = 'refuse') => {
  const ca = await createTestCa()
  const crlFile = await parts.file('crl.pem', await ca.crl([]))
  const files = [await parts.file('ca.pem', ca.ca)]
  const trust = await parts.load([{ name: 'a', files, crlFile, crlExpired }])
  return { ca, crlFile, trust, resolver: resolverOf(parts, trust) }
}

describe('CA certificates', () => {
  test('are replaced while the store is in use: first both, then only the new one', async () => {
    await using parts = await trustParts()
    const { ca: old, trust, resolver } = await setUp(parts)
    const next = await createTestCa({ name: 'Next CA' })
    const [before, after] = [await old.issue('sae-1'), await next.issue('sae-1')]
    expect(examine(resolver, after)).toBe('unknown-ca')
    await parts.file('crl.pem', (await old.crl([])) + (await next.crl([])))
    expect(await trust.refresh()).toBe(false)
    await parts.file('ca.pem', old.ca + next.ca)
    expect(await trust.refresh()).toBe(true)
    expect([examine(resolver, before), examine(resolver, after)]).toEqual(['sae-1', 'sae-1'])
    expect(trust.caPem().join('')).toContain(next.ca.trim())
    expect(await trust.refresh()).toBe(false)

    const resolution = resolver.examine(new X509Certificate(before.cert))
    if (!('identity' in resolution)) throw new Error('refused')
    await parts.file('ca.pem', next.ca)
    await parts.file('crl.pem', await next.crl([]))
    expect(await trust.refresh()).toBe(true)
    expect(resolver.stillValid(resolution.identity)).toMatchObject({ code: 'unknown-ca' })
    expect([examine(resolver, before), examine(resolver, after)]).toEqual(['unknown-ca', 'sae-1'])
  })

  test('that cannot be used leave the ones read before in use, and the log says so once', async () => {
    await using parts = await trustParts()
    const { ca, trust, resolver } = await setUp(parts)
    const sae = await ca.issue('sae-1')
    for (const text of ['', sae.cert, ca.ca.slice(0, 200)]) {
      await parts.file('ca.pem', text)
      expect(await trust.refresh()).toBe(false)
      expect(await trust.refresh()).toBe(false)
    }
    const told = parts.events.filter(({ name }) => name === 'identity.ca.unusable')
    expect(told).toHaveLength(3)
    expect(examine(resolver, sae)).toBe('sae-1')
    await parts.file('ca.pem', ca.ca)
    expect(await trust.refresh()).toBe(true)
  })

  test('take effect when the revocation list that they waited for comes', async () => {
    await using parts = await trustParts()
    const { ca: old, trust, resolver } = await setUp(parts)
    const next = await createTestCa({ name: 'Next CA' })
    const sae = await next.issue('sae-1')
    await parts.file('ca.pem', next.ca)
    expect(await trust.refresh()).toBe(false)
    expect(examine(resolver, await old.issue('sae-1'))).toBe('sae-1')
    await parts.file('crl.pem', await next.crl([sae.serial]))
    expect(await trust.refresh()).toBe(true)
    expect(examine(resolver, sae)).toBe('revoked')
  })

  test('do not bring an older revocation list back', async () => {
    await using parts = await trustParts()
    const { ca, trust, resolver } = await setUp(parts)
    const [sae, next] = [await ca.issue('sae-1'), await createTestCa({ name: 'Next CA' })]
    await parts.file('crl.pem', await ca.crl([sae.serial], { thisUpdate: new Date() }))
    expect(await trust.refresh()).toBe(true)
    await parts.file('crl.pem', await ca.crl([]))
    await parts.file('ca.pem', ca.ca + next.ca)
    expect(await trust.refresh()).toBe(false)
    expect(examine(resolver, sae)).toBe('revoked')
  })
})

describe('revocation', () => {
  test('takes effect on an identity that was read before, when the file changes', async () => {
    await using parts = await trustParts()
    const { ca, crlFile, trust, resolver } = await setUp(parts)
    const sae = await ca.issue('sae-1')
    const resolution = resolver.examine(new X509Certificate(sae.cert))
    if (!('identity' in resolution)) throw new Error('refused')
    expect(await trust.refresh()).toBe(false)
    await writeFile(crlFile, await ca.crl([sae.serial, 'ff']))
    expect(await trust.refresh()).toBe(true)
    expect(resolver.stillValid(resolution.identity)).toMatchObject({ code: 'revoked' })
    expect(trust.crlPem()).toHaveLength(1)
  })

  test('a list that cannot be used leaves the old one in use, and says so once', async () => {
    await using parts = await trustParts()
    const { ca, crlFile, trust, resolver } = await setUp(parts)
    const [revoked, honest] = [await ca.issue('sae-1'), await ca.issue('sae-1')]
    await writeFile(crlFile, await ca.crl([revoked.serial]))
    await trust.refresh()
    const stranger = await createTestCa()
    const good = await ca.crl([])
    for (const content of ['', good.slice(0, 200), await stranger.crl([])]) {
      await writeFile(crlFile, content)
      expect(await trust.refresh()).toBe(false)
      expect(await trust.refresh()).toBe(false)
    }
    await rm(crlFile)
    expect(await trust.refresh()).toBe(false)
    expect(examine(resolver, revoked)).toBe('revoked')
    expect(examine(resolver, honest)).toBe('sae-1')
    const broken = parts.events.filter(({ name }) => name === 'identity.crl.unusable')
    expect(broken.map(({ level }) => level)).toEqual(['error', 'error', 'error', 'error'])
  })

  test('an older list put back is not taken', async () => {
    await using parts = await trustParts()
    const { ca, crlFile, trust, resolver } = await setUp(parts)
    const sae = await ca.issue('sae-1')
    await writeFile(crlFile, await ca.crl([sae.serial], { thisUpdate: new Date() }))
    await trust.refresh()
    await writeFile(crlFile, await ca.crl([], { thisUpdate: new Date(Date.now() - DAY_MS) }))
    expect(await trust.refresh()).toBe(false)
    expect(examine(resolver, sae)).toBe('revoked')
  })

  test('an expired list refuses everybody, after a warning a day before', async () => {
    await using parts = await trustParts()
    const { ca, trust, resolver } = await setUp(parts)
    const sae = await ca.issue('sae-1')
    expect(parts.events.map(({ name }) => name)).toEqual(['identity.crl.expires-soon'])
    expect(examine(resolver, sae)).toBe('sae-1')
    parts.clock.offsetMs = 2 * DAY_MS
    expect(examine(resolver, sae)).toBe('crl-expired')
    await trust.refresh()
    await trust.refresh()
    expect(parts.events.map(({ level }) => level)).toEqual(['warn', 'error'])
  })

  test('an expired list only warns where it is configured so, but still revokes', async () => {
    await using parts = await trustParts()
    const { ca, crlFile, trust, resolver } = await setUp(parts, 'warn')
    const [sae, revoked] = [await ca.issue('sae-1'), await ca.issue('sae-2')]
    await writeFile(crlFile, await ca.crl([revoked.serial]))
    await trust.refresh()
    parts.clock.offsetMs = 2 * DAY_MS
    expect(examine(resolver, sae)).toBe('sae-1')
    expect(examine(resolver, revoked)).toBe('revoked')
    expect(trust.crlPem()).toEqual([])
  })

  test('is left to the TLS library only where every CA has a list', async () => {
    await using parts = await trustParts()
    const { ca, crlFile } = await setUp(parts)
    const other = await createTestCa({ name: 'Other' })
    const trust = await parts.load([
      { name: 'a', files: [await parts.file('a.pem', ca.ca)], crlFile },
      { name: 'b', files: [await parts.file('b.pem', other.ca)] },
    ])
    expect(trust.crlPem()).toEqual([])
    expect(trust.caPem()).toHaveLength(2)
  })
})

describe('dates', () => {
  test('are judged at each request', async () => {
    await using parts = await trustParts()
    const ca = await createTestCa()
    const trust = await parts.load([{ name: 'a', files: [await parts.file('ca.pem', ca.ca)] }])
    const resolver = resolverOf(parts, trust)
    const sae = await ca.issue('sae-1', { days: 3 })
    expect(examine(resolver, sae)).toBe('sae-1')
    parts.clock.offsetMs = 4 * DAY_MS
    expect(examine(resolver, sae)).toBe('expired')
    parts.clock.offsetMs = -DAY_MS
    expect(examine(resolver, sae)).toBe('not-yet-valid')
  })

  test('an expired CA vouches for nobody', async () => {
    await using parts = await trustParts()
    const ca = await createTestCa()
    const trust = await parts.load([{ name: 'a', files: [await parts.file('ca.pem', ca.ca)] }])
    parts.clock.offsetMs = 400 * DAY_MS
    expect(examine(resolverOf(parts, trust), await ca.issue('sae-1', { days: 900 }))).toBe(
      'expired',
    )
  })
})

describe('a trust store is not loaded', () => {
  test('with a leaf among the CAs', async () => {
    await using parts = await trustParts()
    const ca = await createTestCa()
    const leaf = await ca.issue('sae-1')
    const files = [await parts.file('leaf.pem', ca.ca + leaf.cert)]
    await expect(parts.load([{ name: 'a', files }])).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('is not a CA certificate'),
    })
  })

  test('with one CA under two names', async () => {
    await using parts = await trustParts()
    const files = [await parts.file('ca.pem', (await createTestCa()).ca)]
    const cas = [
      { name: 'a', files },
      { name: 'b', files },
    ]
    await expect(parts.load(cas)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  })

  test('with a revocation list of another CA, or none in its file', async () => {
    await using parts = await trustParts()
    const [ca, stranger] = [await createTestCa(), await createTestCa()]
    const files = [await parts.file('ca.pem', ca.ca)]
    for (const content of [await stranger.crl([]), ca.ca]) {
      const crlFile = await parts.file('crl.pem', content)
      await expect(parts.load([{ name: 'a', files, crlFile }])).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
      })
    }
  })
})

test('a list cut in its signature, or changed by one bit, is not believed', async () => {
  await using parts = await trustParts()
  const ca = await createTestCa()
  const files = [await parts.file('ca.pem', ca.ca)]
  const lines = (await ca.crl(['01'])).split('\n')
  const der = Buffer.from(lines.slice(1, -1).join(''), 'base64')
  der[der.length - 1] = (der[der.length - 1] ?? 0) ^ 1
  const pem = `-----BEGIN X509 CRL-----\n${der.toString('base64')}\n-----END X509 CRL-----\n`
  const crlFile = await parts.file('crl.pem', pem)
  await expect(parts.load([{ name: 'a', files, crlFile }])).rejects.toMatchObject({
    message: expect.stringContaining('is not signed by a certificate of this CA'),
  })
})

test('a list of thousands is read', async () => {
  await using parts = await trustParts()
  const ca = await createTestCa()
  const sae = await ca.issue('sae-1')
  const others = Array.from({ length: 3000 }, (_, index) => `4${String(index).padStart(31, '0')}`)
  const crlFile = await parts.file('crl.pem', await ca.crl([...others, sae.serial]))
  const files = [await parts.file('ca.pem', ca.ca)]
  const trust = await parts.load([{ name: 'a', files, crlFile }])
  expect(examine(resolverOf(parts, trust), sae)).toBe('revoked')
})
