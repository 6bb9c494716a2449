import { X509Certificate } from 'node:crypto'
import { readFile, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { KEY_ALGORITHMS } from '../../src/pki/algorithms.ts'
import { initAuthorities } from '../../src/pki/init.ts'
import { issueCertificate } from '../../src/pki/issue.ts'
import { safeFileName } from '../../src/pki/names.ts'
import { ROLES } from '../../src/pki/roles.ts'
import { openssl, scratch } from './commands.ts'

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777

const certificateOf = async (file: string) => new X509Certificate(await readFile(file))

const caOf = (dir: string, role: string) => join(dir, `${role}-ca`, 'ca.crt')

describe('every algorithm', () => {
  test.each(KEY_ALGORITHMS)('%s: openssl verifies what each CA issues', async (algorithm) => {
    await using place = await scratch()
    const { dir } = place
    await initAuthorities(dir, { algorithm })
    const purposes = {
      sae: ['sslclient'],
      kme: ['sslserver', 'sslclient'],
      operator: ['sslclient'],
    }
    for (const role of ROLES) {
      const { certFile, keyFile } = await issueCertificate(dir, { role, name: 'a', algorithm })
      const crl = join(dir, `${role}-ca`, 'crl.pem')
      for (const purpose of purposes[role]) {
        const checks = ['-x509_strict', '-crl_check', '-CRLfile', crl, '-purpose', purpose]
        const shown = await openssl('verify', ...checks, '-CAfile', caOf(dir, role), certFile)
        expect(shown).toContain('OK')
      }
      expect(await openssl('pkey', '-in', keyFile, '-noout', '-check')).toContain('valid')
    }
  })
})

test('no CA vouches for what another issued, and only a KME may serve', async () => {
  await using place = await scratch()
  const { dir } = place
  await initAuthorities(dir)
  const { certFile } = await issueCertificate(dir, { role: 'sae', name: 'sae-1' })
  for (const role of ['kme', 'operator']) {
    await expect(openssl('verify', '-CAfile', caOf(dir, role), certFile)).rejects.toThrow()
  }
  const asServer = ['verify', '-purpose', 'sslserver', '-CAfile', caOf(dir, 'sae'), certFile]
  await expect(openssl(...asServer)).rejects.toThrow()
})

test('keys are for their owner alone', async () => {
  await using place = await scratch()
  const { dir } = place
  await initAuthorities(dir)
  const files = await issueCertificate(dir, { role: 'kme', name: 'kme-a', pkcs12: {} })
  expect(await modeOf(dir)).toBe(0o700)
  expect(await modeOf(files.keyFile)).toBe(0o600)
  expect(await modeOf(files.pkcs12File!)).toBe(0o600)
  expect(await modeOf(files.pkcs12PasswordFile!)).toBe(0o600)
  for (const role of ROLES) {
    expect(await modeOf(join(dir, `${role}-ca`))).toBe(0o700)
    expect(await modeOf(join(dir, `${role}-ca`, 'ca.key'))).toBe(0o600)
  }
})

test('a CA is a CA of one level, and the names are where the identity rules look', async () => {
  await using place = await scratch()
  const { dir } = place
  await initAuthorities(dir)
  const text = await openssl('x509', '-in', caOf(dir, 'sae'), '-noout', '-text')
  expect(text).toContain('CA:TRUE, pathlen:0')
  expect(text).toMatch(/Key Usage: critical\s+Certificate Sign, CRL Sign/)
  const sae = await issueCertificate(dir, { role: 'sae', name: 'a b/ü' })
  const certificate = await certificateOf(sae.certFile)
  expect(certificate.subject).toBe('CN=a b/ü')
  expect(certificate.subjectAltName).toBe('URI:urn:keyspring:sae:a%20b%2F%C3%BC')
  expect(certificate.serialNumber).toMatch(/^[4-7][0-9A-F]{39}$/)
  expect(certificate.validFromDate.getTime()).toBeLessThan(Date.now())
})

test('a KME is reached on loopback and under its name, or where the caller says', async () => {
  await using place = await scratch()
  const { dir } = place
  await initAuthorities(dir)
  const byItself = await issueCertificate(dir, { role: 'kme', name: 'kme-a' })
  const certificate = await certificateOf(byItself.certFile)
  expect(certificate.checkHost('localhost')).toBe('localhost')
  expect(certificate.checkHost('kme-a')).toBe('kme-a')
  expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1')
  const san = ['dns:kme-b.example.org', 'ip:2001:db8::1']
  const told = await issueCertificate(dir, { role: 'kme', name: 'KME B', san })
  const other = await certificateOf(told.certFile)
  expect(other.checkHost('kme-b.example.org')).toBe('kme-b.example.org')
  expect(other.checkIP('2001:db8::1')).toBe('2001:db8::1')
  expect(other.checkHost('localhost')).toBeUndefined()
  expect(other.subjectAltName).toContain('URI:urn:keyspring:kme:KME%20B')
})

test('neither a CA nor a key is overwritten', async () => {
  await using place = await scratch()
  const { dir } = place
  await initAuthorities(dir)
  const { keyFile } = await issueCertificate(dir, { role: 'sae', name: 'sae-1' })
  const before = await readFile(keyFile)
  const again = issueCertificate(dir, { role: 'sae', name: 'sae-1' })
  await expect(again).rejects.toMatchObject({ code: 'PKI_INVALID' })
  await expect(initAuthorities(dir)).rejects.toMatchObject({ code: 'PKI_INVALID' })
  expect(await readFile(keyFile)).toEqual(before)
  const left = await readdir(join(dir, 'issued', 'sae'))
  expect(left.sort()).toEqual(['sae-1.crt', 'sae-1.key'])
})

test('certificates issued at once are all in the index', async () => {
  await using place = await scratch()
  const { dir } = place
  await initAuthorities(dir)
  const names = Array.from({ length: 12 }, (_, index) => `sae-${String(index)}`)
  await Promise.all(names.map((name) => issueCertificate(dir, { role: 'sae', name })))
  const index = JSON.parse(await readFile(join(dir, 'sae-ca', 'index.json'), 'utf8'))
  const recorded = (index.certificates as { name: string }[]).map(({ name }) => name)
  expect(recorded.sort()).toEqual(names.sort())
})

describe('names', () => {
  test('become file names that stay in their folder and differ', () => {
    const long = 'ü'.repeat(291)
    const names = [
      'a',
      'A/b',
      '../a',
      '.',
      '..',
      'a%2Fb',
      'a/b',
      "o'x~*",
      long,
      `${long.slice(1)}x`,
    ]
    const files = names.map(safeFileName)
    expect(new Set(files).size).toBe(names.length)
    for (const file of files) expect(file).toMatch(/^[A-Za-z0-9_%-][A-Za-z0-9._%~-]{0,200}$/)
  })

  test.each(['', ' a', 'a ', 'a\0b', 'a\nb', 'a'.repeat(292)])('refuses %j', async (name) => {
    await using place = await scratch()
    await initAuthorities(place.dir)
    const issued = issueCertificate(place.dir, { role: 'sae', name })
    await expect(issued).rejects.toMatchObject({ code: 'USAGE' })
  })

  test.each(['kme-a', 'dns:', 'dns:a b', 'ip:1.2.3', 'uri:x y', 'dns:1.2.3.4', 'foo:bar'])(
    'refuses the alternative name %j',
    async (san) => {
      await using place = await scratch()
      await initAuthorities(place.dir)
      const issued = issueCertificate(place.dir, { role: 'kme', name: 'a', san: [san] })
      await expect(issued).rejects.toMatchObject({ code: 'USAGE' })
    },
  )

  test('of 291 characters are issued and verified', async () => {
    await using place = await scratch()
    const { dir } = place
    await initAuthorities(dir)
    const name = `CN=x,"\\#/${'ü'.repeat(280)}`
    const { certFile } = await issueCertificate(dir, { role: 'sae', name })
    expect((await certificateOf(certFile)).toLegacyObject().subject).toMatchObject({ CN: name })
    expect(await openssl('verify', '-CAfile', caOf(dir, 'sae'), certFile)).toContain('OK')
  })
})

test('a certificate does not outlive its CA', async () => {
  await using place = await scratch()
  await initAuthorities(place.dir)
  const issued = issueCertificate(place.dir, { role: 'sae', name: 'a', days: 3651 })
  await expect(issued).rejects.toMatchObject({ code: 'USAGE' })
})

describe('PKCS#12', () => {
  test.each(KEY_ALGORITHMS)('%s: openssl opens the bundle', async (algorithm) => {
    await using place = await scratch()
    const { dir } = place
    await initAuthorities(dir)
    const options = { role: 'sae', name: 'sae ü 😀', algorithm, pkcs12: {} } as const
    const files = await issueCertificate(dir, options)
    const password = `file:${files.pkcs12PasswordFile!}`
    const bundle = ['pkcs12', '-in', files.pkcs12File!, '-passin', password]
    const all = await openssl(...bundle, '-nodes', '-info')
    expect(all).toContain('friendlyName: sae')
    expect(all).toContain('MAC: sha256')
    expect(all.match(/BEGIN CERTIFICATE/g)).toHaveLength(2)
    const keyFile = join(dir, 'out.key')
    await openssl(...bundle, '-nocerts', '-nodes', '-out', keyFile)
    const publicOf = (file: string) => openssl('pkey', '-in', file, '-pubout')
    expect(await publicOf(keyFile)).toBe(await publicOf(files.keyFile))
    await expect(openssl('pkcs12', '-in', files.pkcs12File!, '-passin', 'pass:x')).rejects.toThrow()
  })

  test('takes the password from a file that only its owner reads', async () => {
    await using place = await scratch()
    const { dir } = place
    await initAuthorities(dir)
    const passwordFile = join(dir, 'password')
    await writeFile(passwordFile, 'correct horse\n', { mode: 0o600 })
    const issue = (name: string, file: string) =>
      issueCertificate(dir, { role: 'sae', name, pkcs12: { passwordFile: file } })
    const { pkcs12File } = await issue('a', passwordFile)
    await openssl('pkcs12', '-in', pkcs12File!, '-passin', 'pass:correct horse', '-nokeys')
    const open = join(dir, 'open')
    await writeFile(open, 'x\n', { mode: 0o644 })
    await expect(issue('b', open)).rejects.toThrow('chmod 600')
  })
})
