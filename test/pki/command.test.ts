import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { describe, expect, test } from '@jest/globals'
import { pkiCommand } from '../../src/cli/pki.ts'
import { openssl, pki, scratch } from './commands.ts'

const all = (command: Command): Command[] => [command, ...command.commands.flatMap(all)]
const leaves = all(pkiCommand({ out: () => {}, err: () => {} })).filter(
  ({ commands }) => commands.length === 0,
)

test.each(leaves.map((command) => [command.name(), command] as const))(
  'pki %s has help with examples, and --json',
  (_, command) => {
    let help = ''
    command.configureOutput({ writeOut: (text) => (help += text) })
    command.outputHelp()
    expect(help).toContain('Examples:\n  keyspring pki')
    expect(help).toContain('--json')
  },
)

test('init, issue, revoke and crl say what they made, in words and as JSON', async () => {
  await using place = await scratch()
  const { dir } = place
  expect((await pki('init', '--dir', dir)).join('\n')).toContain('Made three CAs')
  const shown = await pki('issue', 'kme', 'kme-a', '--dir', dir, '--san', 'dns:a,ip:::1')
  expect(shown[0]).toMatch(/^Issued a certificate for the kme "kme-a", serial [0-9a-f]{40}:$/)
  const issued = JSON.parse(
    (await pki('issue', 'sae', 'sae-1', '--dir', dir, '--json', '--p12')).join('\n'),
  )
  expect(issued).toMatchObject({ role: 'sae', name: 'sae-1' })
  expect(issued.caFile).toBe(join(dir, 'kme-ca', 'ca.crt'))
  expect(JSON.stringify(issued)).not.toContain('PRIVATE KEY')
  expect(await pki('revoke', 'sae-1', '--dir', dir)).toHaveLength(3)
  const lists = JSON.parse((await pki('crl', '--dir', dir, '--days', '7', '--json')).join('\n'))
  expect(lists).toMatchObject([{ revoked: 1 }, { revoked: 0 }, { revoked: 0 }])
})

describe('inspect', () => {
  test('shows what is in a certificate, and neither line breaks nor escapes from it', async () => {
    await using place = await scratch()
    const { dir } = place
    await pki('init', '--dir', dir)
    await pki('issue', 'sae', 'a, "b"', '--dir', dir)
    const file = join(dir, 'issued', 'sae', 'a%2C%20%22b%22.crt')
    const text = (await pki('inspect', file)).join('\n')
    expect(text).toContain('CN=a\\\\, \\\\\\"b\\\\\\"')
    expect(text).toContain('clientAuth')
    const spki = await openssl('x509', '-in', file, '-noout', '-pubkey')
    const der = execFileSync('openssl', ['pkey', '-pubin', '-outform', 'DER'], { input: spki })
    const print = execFileSync('openssl', ['dgst', '-sha256', '-r'], { input: der }).toString()
    expect(text).toContain(`SHA-256 ${print.slice(0, 64)} (for \`pins\`)`)
  })

  test('refuses what is no certificate', async () => {
    await using place = await scratch()
    await pki('init', '--dir', place.dir)
    const key = join(place.dir, 'sae-ca', 'ca.key')
    await expect(pki('inspect', key)).rejects.toMatchObject({ code: 'PKI_INVALID' })
    expect(await readFile(key, 'utf8')).toContain('PRIVATE KEY')
  })
})

describe('inspect with a configuration', () => {
  const inspectAt = async (folder: string, certificate: string): Promise<string[]> => {
    const config = join(folder, 'site-a.yaml')
    const file = join(folder, 'certs', certificate)
    const shown = JSON.parse((await pki('inspect', file, '-c', config, '--json')).join('\n'))
    const verdicts = shown.verdicts as {
      listener: string
      identity: { id: string; registered: boolean } | null
      why: string
    }[]
    return verdicts.map(({ identity, why }) =>
      identity === null
        ? why.replace(/:.*/, '')
        : `${identity.id}${identity.registered ? '' : ' (not registered)'}`,
    )
  }

  test('says whom each listener takes a certificate for, made by either tool', async () => {
    await using place = await scratch()
    const { dir } = place
    const certs = join(dir, 'certs')
    await mkdir(join(dir, 'data', 'site-a', 'incoming'), { recursive: true })
    await writeFile(join(dir, 'site-a.yaml'), await readFile('config/site-a.yaml'))
    execFileSync('sh', ['certs/openssl-pki.sh', certs, 'ec'], { stdio: 'ignore' })
    const kek = randomBytes(32).toString('base64')
    await writeFile(join(dir, 'data', 'site-a', 'kek.key'), kek, { mode: 0o600 })
    const unknown = 'unknown-ca'
    expect(await inspectAt(dir, 'sae-a.pem')).toEqual(['sae-a', unknown, unknown])
    expect(await inspectAt(dir, 'sae-b.pem')).toEqual(['sae-b (not registered)', unknown, unknown])
    expect(await inspectAt(dir, 'kme-b.pem')).toEqual([unknown, 'kme-b', unknown])
    expect(await inspectAt(dir, 'kme-a.pem')).toEqual([unknown, 'no-identity', unknown])
    expect(await inspectAt(dir, 'operator.pem')).toEqual([unknown, unknown, 'operator'])
    const words = ['inspect', join(certs, 'sae-b.pem'), '-c', join(dir, 'site-a.yaml')]
    expect((await pki(...words)).slice(-3)).toEqual([
      'sae listener: the SAE "sae-b", by rule 1 (ca sae-ca, from cn), which is not in `saes` with the CA sae-ca: every request is answered 401',
      'peer listener: refused (unknown-ca: no configured CA certificate issued it)',
      'admin listener: refused (unknown-ca: no configured CA certificate issued it)',
    ])
  })
})

describe.each(['ec', 'rsa'])('certs/openssl-pki.sh %s', (kind) => {
  test('makes certificates that openssl verifies', async () => {
    await using place = await scratch()
    const { dir } = place
    execFileSync('sh', ['certs/openssl-pki.sh', dir, kind], { stdio: 'ignore' })
    const pairs = [
      ['kme-ca', 'kme-a', 'sslserver'],
      ['kme-ca', 'kme-b', 'sslclient'],
      ['sae-ca', 'sae-a', 'sslclient'],
      ['operator-ca', 'operator', 'sslclient'],
    ] as const
    for (const [ca, name, purpose] of pairs) {
      const lists = ['-crl_check', '-CRLfile', join(dir, `${ca}.crl.pem`)]
      const checks = ['-x509_strict', '-purpose', purpose, '-CAfile', join(dir, `${ca}.pem`)]
      const shown = await openssl('verify', ...lists, ...checks, join(dir, `${name}.pem`))
      expect(shown).toContain('OK')
    }
    expect((await stat(join(dir, 'kme-a.key'))).mode & 0o777).toBe(0o600)
  })
})
