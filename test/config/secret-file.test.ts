import { execFileSync } from 'node:child_process'
import { chmod, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { readRegularFile, readSecretFile } from '../../src/support/secret-file.ts'

let folder = ''
const path = (name: string) => join(folder, name)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyspring-secret-'))
})

afterAll(() => rm(folder, { recursive: true }))

const secret = async (name: string, mode: number) => {
  await writeFile(path(name), 'secret')
  await chmod(path(name), mode)
  return path(name)
}

test.each([0o600, 0o400, 0o700])('a file of mode %o is read', async (mode) => {
  const content = await readSecretFile(await secret(`fine-${String(mode)}`, mode))
  expect(content.toString()).toBe('secret')
})

test.each([0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o666])(
  'a file of mode %o is refused',
  async (mode) => {
    const file = await secret(`open-${String(mode)}`, mode)
    await expect(readSecretFile(file)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: `${file}: group or others can access it (mode 0${mode.toString(8)}): run chmod 600 on it`,
    })
  },
)

test('what a symbolic link leads to is judged', async () => {
  await symlink(await secret('target', 0o644), path('link'))
  await expect(readSecretFile(path('link'))).rejects.toThrow('mode 0644')
})

test('folders, devices and named pipes are refused at once', async () => {
  execFileSync('mkfifo', ['-m', '600', path('pipe')])
  await expect(readSecretFile(folder)).rejects.toThrow('is a directory, not a file')
  await expect(readSecretFile('/dev/null')).rejects.toThrow('is not a regular file')
  await expect(readSecretFile(path('pipe'))).rejects.toThrow('is not a regular file')
})

test('a missing file, a loop of links and a file that is too large are each one line', async () => {
  await symlink(path('loop'), path('loop'))
  await expect(readSecretFile(path('none'))).rejects.toThrow(`${path('none')}: no such file`)
  await expect(readSecretFile(path('loop'))).rejects.toThrow('symbolic links without end')
  await expect(readRegularFile(await secret('large', 0o600), 5)).rejects.toThrow(
    'is larger than 5 bytes',
  )
  expect((await readRegularFile(path('large'), 6)).toString()).toBe('secret')
})
