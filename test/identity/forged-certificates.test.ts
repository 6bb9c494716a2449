import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import * as tls from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { byRules } from '../../src/identity/identify.ts'
import { IdentityResolver, type Resolution } from '../../src/identity/resolver.ts'
import type { IdentityRule } from '../../src/identity/rule.ts'
import { type EvilCa, createEvilCa } from '../helpers/evil-certificates.ts'
import { type TestCa, type TestCertificate, createTestCa } from '../helpers/test-ca.ts'
import { type TrustParts, trustParts } from './trust-parts.ts'

/** What a TLS server with one CA for SAEs, and another that is trusted too, makes of forged certificates. */

const RULES: readonly IdentityRule[] = [
  { ca: 'main', from: 'cn', allowMissingEku: false },
  { ca: 'other', from: 'cn', allowMissingEku: false },
]

const DAY_MS = 86_400_000

let parts: TrustParts
let main: EvilCa
let other: TestCa
let server: tls.Server
let resolver: IdentityResolver

beforeAll(async () => {
  parts = await trustParts()
  main = createEvilCa('Main CA')
  other = await createTestCa({ name: 'Other CA' })
  const own = await other.issue('server')
  const trust = await parts.load([
    { name: 'main', files: [await parts.file('main.pem', main.ca)] },
    { name: 'other', files: [await parts.file('other.pem', other.ca)] },
  ])
  resolver = new IdentityResolver({ trust, identify: byRules(RULES), clock: parts.clock })
  server = tls.createServer({
    cert: own.cert,
    key: own.key,
    ca: trust.caPem(),
    requestCert: true,
    rejectUnauthorized: true,
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})

afterAll(async () => {
  server.close()
  await once(server, 'close')
  await parts[Symbol.asyncDispose]()
})

const clientOf = ({ cert, key }: TestCertificate) => {
  const { port } = server.address() as AddressInfo
  const client = tls.connect({ host: '127.0.0.1', port, cert, key, ca: other.ca })
  client.on('error', () => {})
  return client
}

/** The identity, the code of the refusal, or 'handshake' where the TLS library refused. */
const present = async (certificate: TestCertificate): Promise<string> => {
  const outcome = new Promise<Resolution | null>((resolve) => {
    server.once('secureConnection', (socket) => {
      resolve(resolver.resolve(socket))
      socket.destroy()
    })
    server.once('tlsClientError', () => {
      resolve(null)
    })
  })
  let client: tls.TLSSocket
  try {
    client = clientOf(certificate)
  } catch {
    // The client's own TLS library refuses to use it; the server never sees it.
    server.removeAllListeners('secureConnection').removeAllListeners('tlsClientError')
    return 'handshake'
  }
  const resolution = await outcome
  server.removeAllListeners('secureConnection').removeAllListeners('tlsClientError')
  client.destroy()
  if (resolution === null) return 'handshake'
  return 'identity' in resolution
    ? `${resolution.identity.ca}: ${resolution.identity.id}`
    : resolution.refusal.code
}

type Forge = () => TestCertificate | Promise<TestCertificate>

const CASES: readonly (readonly [string, Forge, string])[] = [
  ['an honest certificate is its SAE', () => main.forge(), 'main: SAE1'],
  ['X1 expired', () => main.forge({ notAfter: new Date(Date.now() - DAY_MS) }), 'handshake'],
  ['X2 not yet valid', () => main.forge({ notBefore: new Date(Date.now() + DAY_MS) }), 'handshake'],
  ['X3 wrong CA', () => createEvilCa('Nobody').forge(), 'handshake'],
  ['X4 another CA of the same name', () => createEvilCa('Main CA').forge(), 'handshake'],
  ['X5 self-signed', () => main.forge({ selfSigned: true }), 'handshake'],
  ['X6 signed by a leaf', () => main.forgeFromLeaf(main.forge()), 'handshake'],
  ['X8 no extended key usage', () => main.forge({ eku: [] }), 'no-client-auth'],
  ['X9 for servers only', () => main.forge({ eku: ['serverAuth'] }), 'handshake'],
  ['X10 signed with SHA-1', () => main.forge({ hash: 'sha1' }), 'handshake'],
  ['X11 RSA with 1024 bits', () => main.forge({ modulusBits: 1024 }), 'handshake'],
  ['X12 the certificate of a CA', () => main.forge({ isCa: true }), 'ca-certificate'],
  [
    'X13 two common names, ours first',
    () => main.forge({ commonNames: ['SAE1', 'SAE2'] }),
    'no-identity',
  ],
  [
    'X13 two common names, ours last',
    () => main.forge({ commonNames: ['A', 'SAE1'] }),
    'no-identity',
  ],
  [
    'X13 twice the same common name',
    () => main.forge({ commonNames: ['SAE1', 'SAE1'] }),
    'no-identity',
  ],
  [
    'X13 two common names in one multi-valued RDN',
    () => other.issue('', { subject: [{ CN: ['SAE1', 'SAE2'] }] }),
    'no-identity',
  ],
  ['X14 NUL', () => main.forge({ commonNames: ['SAE1\0.evil'] }), 'no-identity'],
  ['X15 trailing blank', () => main.forge({ commonNames: ['SAE1 '] }), 'no-identity'],
  ['X15 leading blank', () => main.forge({ commonNames: [' SAE1'] }), 'no-identity'],
  ['X15 trailing no-break space', () => main.forge({ commonNames: ['SAE1\u00a0'] }), 'no-identity'],
  ['X15 a line break', () => main.forge({ commonNames: ['SAE1\nCN=SAE2'] }), 'no-identity'],
  ['X16 other case', () => main.forge({ commonNames: ['sae1'] }), 'main: sae1'],
  ['X17 homoglyph', () => main.forge({ commonNames: ['SАE1'] }), 'main: SАE1'],
  ['X17 decomposed', () => main.forge({ commonNames: ['e\u0301'] }), 'main: e\u0301'],
  ['X18 comma', () => main.forge({ commonNames: ['x,CN=SAE1'] }), 'main: x,CN=SAE1'],
  ['X18 slash', () => main.forge({ commonNames: ['x/CN=SAE1'] }), 'main: x/CN=SAE1'],
  [
    'X18 an organisation that reads like a common name',
    () =>
      main.forge({ commonNames: ['x'], before: [{ name: 'organizationName', value: 'CN=SAE1' }] }),
    'main: x',
  ],
  ['X19 the same name from another CA', () => other.issue('SAE1'), 'other: SAE1'],
  ['X20 no common name', () => other.issue('', { subject: [{ O: ['SAE1'] }] }), 'no-identity'],
  ['X20 an empty common name', () => other.issue('', { subject: [{ CN: [''] }] }), 'no-identity'],
  ['X20 __proto__', () => main.forge({ commonNames: ['__proto__'] }), 'main: __proto__'],
  ['291 characters', () => other.issue('ä'.repeat(291)), `other: ${'ä'.repeat(291)}`],
  ['292 characters', () => other.issue('a'.repeat(292)), 'no-identity'],
]

describe('forged certificates', () => {
  test.each(CASES)('%s', async (_, make, expected) => {
    expect(await present(await make())).toBe(expected)
  })
})

test('a socket without a certificate that TLS accepted has no identity', () => {
  const resolution = resolver.resolve({})
  expect(resolution).toMatchObject({ refusal: { code: 'no-certificate' } })
})

test('the identity of a connection is read once', async () => {
  const seen = new Promise<tls.TLSSocket>((resolve) => server.once('secureConnection', resolve))
  const client = clientOf(main.forge())
  const socket = await seen
  expect(resolver.resolve(socket)).toBe(resolver.resolve(socket))
  socket.destroy()
  client.destroy()
})
