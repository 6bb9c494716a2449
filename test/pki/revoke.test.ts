import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createSecureContext } from 'node:tls'
import { expect, test } from '@jest/globals'
import { writeCrl } from '../../src/pki/crl.ts'
import { initAuthorities } from '../../src/pki/init.ts'
import { issueCertificate } from '../../src/pki/issue.ts'
import { revokeCertificate } from '../../src/pki/revoke.ts'
import { openssl, scratch } from './commands.ts'

const crlOf = (dir: string) => join(dir, 'sae-ca', 'crl.pem')

const verify = (dir: string, file: string): Promise<string> => {
  const lists = ['-crl_check', '-CRLfile', crlOf(dir)]
  return openssl('verify', ...lists, '-CAfile', join(dir, 'sae-ca', 'ca.crt'), file)
}

test('openssl and the runtime honour the list, by name, serial number and file', async () => {
  await using place = await scratch()
  const { dir } = place
  await initAuthorities(dir)
  const issue = (name: string) => issueCertificate(dir, { role: 'sae', name })
  const [kept, byName, bySerial, byFile] = [
    await issue('kept'),
    await issue('by name'),
    await issue('by-serial'),
    await issue('by-file'),
  ]
  const withColons = bySerial.serial.toUpperCase().match(/../g)!.join(':')
  for (const what of ['by name', withColons, byFile.certFile]) {
    expect(await revokeCertificate(dir, what)).toMatchObject({ role: 'sae' })
  }
  expect(await verify(dir, kept.certFile)).toContain('OK')
  for (const { certFile } of [byName, bySerial, byFile]) {
    await expect(verify(dir, certFile)).rejects.toThrow('revoked')
  }
  createSecureContext({ crl: await readFile(crlOf(dir)) })
})

test('a name revokes every certificate issued to it, and revoking again keeps the first date', async () => {
  await using place = await scratch()
  const { dir } = place
  await initAuthorities(dir)
  for (const out of ['one', 'two']) {
    await issueCertificate(dir, { role: 'sae', name: 'sae-1', out: join(dir, out) })
  }
  const first = await revokeCertificate(dir, 'sae-1')
  const second = await revokeCertificate(dir, 'sae-1')
  expect(first.certificates).toHaveLength(2)
  expect(second.certificates).toEqual(first.certificates)
  expect(second.crl.revoked).toBe(2)
})

test('a name of two CAs needs the role, and an unknown one is refused', async () => {
  await using place = await scratch()
  const { dir } = place
  await initAuthorities(dir)
  await issueCertificate(dir, { role: 'sae', name: 'x' })
  await issueCertificate(dir, { role: 'operator', name: 'x' })
  await expect(revokeCertificate(dir, 'x')).rejects.toMatchObject({ code: 'USAGE' })
  expect(await revokeCertificate(dir, 'x', { role: 'operator' })).toMatchObject({
    role: 'operator',
    certificates: [{ role: 'operator' }],
  })
  await expect(revokeCertificate(dir, 'y')).rejects.toMatchObject({ code: 'PKI_INVALID' })
})

test('the number of the list rises, and its next update is what was asked for', async () => {
  await using place = await scratch()
  const { dir } = place
  await initAuthorities(dir)
  const numbers: number[] = []
  for (let i = 0; i < 2; i++) {
    await writeCrl(dir, 'sae', { days: 7 })
    const text = await openssl('crl', '-in', crlOf(dir), '-noout', '-text')
    numbers.push(Number(/CRL Number:\s+(\d+)/.exec(text)?.[1]))
  }
  expect(numbers).toEqual([2, 3])
  const { nextUpdate } = await writeCrl(dir, 'sae', { days: 7 })
  expect(Math.round((nextUpdate.getTime() - Date.now()) / 86_400_000)).toBe(7)
})

test('a damaged index is named, and left as it is', async () => {
  await using place = await scratch()
  const { dir } = place
  await initAuthorities(dir)
  const file = join(dir, 'sae-ca', 'index.json')
  await writeFile(file, '{"version":1}')
  const issued = issueCertificate(dir, { role: 'sae', name: 'x' })
  await expect(issued).rejects.toThrow(`${file}: is no index of a Keyspring CA`)
  expect(await readFile(file, 'utf8')).toBe('{"version":1}')
})
