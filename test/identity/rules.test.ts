import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { CertificateFacts } from '../../src/identity/certificate-facts.ts'
import { byOperators, byPeers, byRules } from '../../src/identity/identify.ts'
import { type IdentityRule, identityRuleSchema } from '../../src/identity/rule.ts'
import { createEvilCa } from '../helpers/evil-certificates.ts'
import {
  type TestCa,
  type TestCertificate,
  type TestIssueOptions,
  createTestCa,
} from '../helpers/test-ca.ts'

let ca: TestCa
beforeAll(async () => {
  ca = await createTestCa()
})

const factsOf = ({ cert }: TestCertificate) => new CertificateFacts(new X509Certificate(cert))

const issueFacts = async (options: TestIssueOptions, name = 'sae-1') =>
  factsOf(await ca.issue(name, options))

const rule = (given: Partial<IdentityRule> & Pick<IdentityRule, 'from'>): IdentityRule =>
  identityRuleSchema.parse({ ca: 'a', ...given })

/** The identity, or what was said against it. */
const identify = (facts: CertificateFacts, ...rules: readonly IdentityRule[]): string => {
  const named = byRules(rules)(facts, 'a')
  return 'id' in named ? named.id : `${named.code}: ${named.reason}`
}

describe('the subject as RFC 4514 writes it', () => {
  const SUBJECTS: readonly (readonly [string, NonNullable<TestIssueOptions['subject']>])[] = [
    ['C=AT,O=Example,CN=sae-1', [{ CN: ['sae-1'] }, { O: ['Example'] }, { C: ['AT'] }]],
    ['CN=sae-1,OU=lab', [{ OU: ['lab'] }, { CN: ['sae-1'] }]],
    ['CN=a\\,CN=b', [{ CN: ['a,CN=b'] }]],
    ['CN=\\"q\\" \\+ \\\\ \\< \\; \\>', [{ CN: ['"q" + \\ < ; >'] }]],
    ['CN=\\#1', [{ CN: ['#1'] }]],
    ['CN=\\ a\\ ', [{ CN: [' a '] }]],
    ['CN=line\\0Abreak', [{ CN: ['line\nbreak'] }]],
    ['CN=Zürich 😀', [{ CN: ['Zürich 😀'] }]],
    ['emailAddress=a@b,CN=x', [{ CN: ['x'] }, { E: ['a@b'] }]],
  ]

  test.each(SUBJECTS)('%s', async (expected, subject) => {
    const certificate = await ca.issue('', { subject })
    expect(factsOf(certificate).distinguishedName).toBe(expected)
    const shown = execFileSync(
      'openssl',
      ['x509', '-noout', '-subject', '-nameopt', 'RFC2253,utf8,-esc_msb'],
      { input: certificate.cert, encoding: 'utf8' },
    )
    expect(shown.trimEnd().replace(/^subject=/, '')).toBe(expected.trimEnd())
  })

  test('is an identity by the rule for it', async () => {
    const facts = await issueFacts({ subject: [{ OU: ['lab'] }, { CN: ['sae-1'] }] })
    expect(identify(facts, rule({ from: 'dn' }))).toBe('CN=sae-1,OU=lab')
    expect(identify(facts, rule({ from: 'dn', pattern: 'CN={id},OU=lab' }))).toBe('sae-1')
  })

  test('sorts the members of a multi-valued RDN, which is a set', async () => {
    for (const subject of [
      { CN: ['sae-1'], OU: ['lab'] },
      { OU: ['lab'], CN: ['sae-1'] },
    ]) {
      const facts = await issueFacts({ subject: [subject] })
      expect(facts.distinguishedName).toBe('CN=sae-1+OU=lab')
    }
  })

  test('is none where a value cannot be told from one that is no text', async () => {
    const facts = await issueFacts({ subject: [{ CN: ['#0401'] }] })
    expect(identify(facts, rule({ from: 'dn' }))).toBe(
      'no-identity: rule 1 (ca a, from dn): it has no subject',
    )
    expect(identify(facts, rule({ from: 'cn' }))).toBe('#0401')
  })
})

describe('alternative names', () => {
  const urn = rule({ from: 'san-uri', pattern: 'urn:keyspring:sae:{id}' })

  test('a URI that fits the pattern is percent-decoded, others are passed over', async () => {
    const facts = await issueFacts({
      san: ['uri:https://example.org', 'uri:urn:keyspring:sae:a%20b%2Fc%C3%BC'],
    })
    expect(identify(facts, urn)).toBe('a b/cü')
    expect(identify(facts, rule({ from: 'san-uri' }))).toContain('it has two of URI')
  })

  test.each([
    ['two that fit', ['uri:urn:keyspring:sae:a', 'uri:urn:keyspring:sae:b'], 'it has two of'],
    ['an empty one', ['uri:urn:keyspring:sae:'], 'is empty'],
    ['broken percent-encoding', ['uri:urn:keyspring:sae:%zz'], 'it has no URI'],
    ['an encoded NUL', ['uri:urn:keyspring:sae:a%00b'], 'holds a NUL'],
    ['an encoded blank at the end', ['uri:urn:keyspring:sae:a%20'], 'has leading or trailing'],
    ['the URI as a DNS name', ['dns:urn:keyspring:sae:a'], 'it has no URI'],
    ['two in one, as text', ['dns:x, URI:urn:keyspring:sae:a'], 'it has no URI'],
  ])('%s: no identity', async (_, san, problem) => {
    expect(identify(await issueFacts({ san }), urn)).toContain(problem)
  })

  test('DNS and e-mail names count where there is one', async () => {
    const facts = await issueFacts({ san: ['dns:sae-9', 'email:a@example.org'] })
    expect(identify(facts, rule({ from: 'san-dns' }))).toBe('sae-9')
    expect(identify(facts, rule({ from: 'san-email' }))).toBe('a@example.org')
  })

  test('NUL in a DNS name is no identity', async () => {
    const facts = await issueFacts({ san: ['dns:sae-9\0.evil'] })
    expect(identify(facts, rule({ from: 'san-dns' }))).toContain('holds a NUL')
  })
})

test('a public key is looked up among the pins, exactly', async () => {
  const facts = await issueFacts({})
  const pins = { [facts.spkiFingerprint]: 'pinned' }
  expect(identify(facts, rule({ from: 'spki', pins }))).toBe('pinned')
  const others = { ['0'.repeat(64)]: 'pinned' }
  expect(identify(facts, rule({ from: 'spki', pins: others }))).toContain('not among the pins')
})

test('a serial number is lower-case hex without leading zeros', async () => {
  expect(identify(await issueFacts({ serial: '00AB12' }), rule({ from: 'serial' }))).toBe('ab12')
})

test('rules are tried in order and only for their CA', async () => {
  const facts = await issueFacts({ san: ['dns:by-dns'] })
  const dns = rule({ from: 'san-dns' })
  const cn = rule({ from: 'cn' })
  expect(identify(facts, dns, cn)).toBe('by-dns')
  expect(identify(facts, rule({ from: 'san-email' }), cn, dns)).toBe('sae-1')
  expect(identify(facts, { ...dns, ca: 'b' }, cn)).toBe('sae-1')
  expect(identify(facts, { ...cn, ca: 'b' })).toBe('no-identity: no rule is for the CA a')
})

describe('extended key usage', () => {
  test('may be missing only where the rule says so', async () => {
    const facts = await issueFacts({ eku: [] })
    expect(identify(facts, rule({ from: 'cn' }))).toContain('no-client-auth')
    expect(identify(facts, rule({ from: 'cn', allowMissingEku: true }))).toBe('sae-1')
  })

  test('for servers only is never a client', async () => {
    const facts = await issueFacts({ eku: ['serverAuth'] })
    expect(identify(facts, rule({ from: 'cn', allowMissingEku: true }))).toContain('no-client-auth')
  })
})

describe('the rule schema', () => {
  test.each([
    ['an unknown source', { from: 'ip' }],
    ['a pattern without a place', { from: 'cn', pattern: 'sae' }],
    ['a pattern with two places', { from: 'cn', pattern: '{id}{id}' }],
    ['pins without spki', { from: 'cn', pins: {} }],
    ['spki without pins', { from: 'spki' }],
    ['a fingerprint with colons', { from: 'spki', pins: { 'AB:CD': 'x' } }],
    ['an option that there is not', { from: 'cn', ou: 'x' }],
  ])('refuses %s', (_, given) => {
    expect(identityRuleSchema.safeParse({ ca: 'a', ...given }).success).toBe(false)
  })
})

describe('peer KMEs', () => {
  const peers = [
    { id: 'kme-b', ca: 'a' },
    { id: 'kme-c', ca: 'a', certIdentity: 'urn:kme:c' },
    { id: 'kme-d', ca: 'other' },
  ]
  const peerOf = (facts: CertificateFacts, usage?: string) => {
    const named = byPeers(peers, usage)(facts, 'a')
    return 'id' in named ? named.id : named.code
  }

  test('are known by common name, DNS or URI, exactly and from their own CA', async () => {
    expect(peerOf(await issueFacts({}, 'kme-b'))).toBe('kme-b')
    expect(peerOf(await issueFacts({ san: ['dns:kme-b'] }, 'x'))).toBe('kme-b')
    expect(peerOf(await issueFacts({ san: ['uri:urn:kme:c'] }, 'x'))).toBe('kme-c')
    expect(peerOf(await issueFacts({}, 'kme-c'))).toBe('no-identity')
    expect(peerOf(await issueFacts({}, 'kme-d'))).toBe('no-identity')
    expect(peerOf(await issueFacts({}, 'KME-B'))).toBe('no-identity')
  })

  test('a certificate that fits two is refused', async () => {
    expect(peerOf(await issueFacts({ san: ['uri:urn:kme:c'] }, 'kme-b'))).toBe('no-identity')
  })

  test('two common names are none', () => {
    const facts = factsOf(createEvilCa().forge({ commonNames: ['kme-b', 'x'] }))
    expect(peerOf(facts)).toBe('no-identity')
  })

  test('the usage must be that of its side', async () => {
    const facts = await issueFacts({ eku: ['serverAuth'] }, 'kme-b')
    expect(peerOf(facts)).toBe('no-client-auth')
    expect(peerOf(facts, '1.3.6.1.5.5.7.3.1')).toBe('kme-b')
  })
})

test('operators are named by their common name, else by their serial number', async () => {
  const named = byOperators(['a'])
  expect(named(await issueFacts({}, 'ann'), 'a')).toMatchObject({ id: 'ann' })
  const nameless = await issueFacts({ subject: [{ O: ['x'] }], serial: '4711' })
  expect(named(nameless, 'a')).toMatchObject({ id: '4711' })
  expect(named(nameless, 'b')).toMatchObject({ code: 'no-identity' })
})
