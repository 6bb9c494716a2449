import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { decodeBase64, encodeBase64 } from '../../src/sealing/base64.ts'
import { makeKekFile, readKekFile } from '../../src/sealing/kek-file.ts'
import { openFileSealing } from '../../src/sealing/file-sealing.ts'

const random = { bytes: (length: number): Buffer => randomBytes(length) }

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'keyspring kek '))
})
afterEach(() => {
  rmSync(directory, { recursive: true })
})
const kekPath = (name = 'kek'): string => join(directory, name)

describe('base64 without strings', () => {
  test('says what the runtime says, for every length', () => {
    for (let length = 0; length <= 66; length += 1) {
      const bytes = randomBytes(length)
      expect(encodeBase64(bytes).toString('latin1')).toBe(bytes.toString('base64'))
      if (length > 0) expect(decodeBase64(encodeBase64(bytes))).toEqual(bytes)
    }
  })

  test('reads one spelling only', () => {
    for (const text of ['', 'AA', 'AA=', 'AB==', 'AAB=', 'A===', 'AA-_', 'AA A', 'A=AA', '====']) {
      expect(decodeBase64(Buffer.from(text))).toBeNull()
    }
    expect(decodeBase64(Buffer.from('AA=='))).toEqual(Buffer.of(0))
  })
})

describe('the KEK file', () => {
  test('is one line that only its owner can read, and is read back', async () => {
    const kekId = makeKekFile(kekPath(), random)
    expect(statSync(kekPath()).mode & 0o777).toBe(0o600)
    const text = readFileSync(kekPath(), 'latin1')
    expect(text).toMatch(/^keyspring-kek-1 [0-9a-f]{16} [A-Za-z0-9+/]{43}=\n$/)
    const [kek] = await readKekFile(kekPath())
    expect(kek.kekId).toBe(kekId)
    expect(kek.key.equals(Buffer.from(text.split(' ')[2]!, 'base64'))).toBe(true)
  })

  test('is never overwritten', () => {
    makeKekFile(kekPath(), random)
    const before = readFileSync(kekPath())
    expect(() => makeKekFile(kekPath(), random)).toThrow(
      expect.objectContaining({ code: 'SEALING_FAILED' }),
    )
    expect(readFileSync(kekPath()).equals(before)).toBe(true)
  })

  test('is refused when group or others can read it', async () => {
    makeKekFile(kekPath(), random)
    for (const mode of [0o640, 0o604, 0o660]) {
      chmodSync(kekPath(), mode)
      await expect(readKekFile(kekPath())).rejects.toThrow(/^KEK file .*kek: .*chmod 600/)
    }
    chmodSync(kekPath(), 0o400)
    expect((await readKekFile(kekPath()))[0].key).toHaveLength(32)
  })

  test.each([
    ['nothing', ''],
    ['another format', `keyspring-kek-2 ${'0'.repeat(16)} ${'A'.repeat(43)}=\n`],
    ['a short key', `keyspring-kek-1 ${'0'.repeat(16)} ${'A'.repeat(39)}=\n`],
    ['an empty second line', `keyspring-kek-1 ${'0'.repeat(16)} ${'A'.repeat(43)}=\n\n`],
    ['the same KEK twice', `keyspring-kek-1 ${'0'.repeat(16)} ${'A'.repeat(43)}=\n`.repeat(2)],
    [
      'three lines',
      ['0', '1', '2'].map((n) => `keyspring-kek-1 ${n.repeat(16)} ${'A'.repeat(43)}=\n`).join(''),
    ],
    ['no name', `keyspring-kek-1  ${'A'.repeat(43)}=\n`],
    ['bad base64', `keyspring-kek-1 ${'0'.repeat(16)} ${'A'.repeat(42)}B=\n`],
  ])('is refused with one line when it holds %s', async (_what, content) => {
    writeFileSync(kekPath(), content, { mode: 0o600 })
    await expect(readKekFile(kekPath())).rejects.toMatchObject({
      code: 'SEALING_FAILED',
      message: expect.not.stringMatching(/\n|AAAA/),
    })
  })

  test('is refused when it is missing, a directory, or a link to nowhere', async () => {
    symlinkSync(kekPath('nowhere'), kekPath('link'))
    for (const path of [kekPath(), directory, kekPath('link')]) {
      await expect(readKekFile(path)).rejects.toThrow(/^KEK file /)
    }
  })
})

describe('sealing under a KEK file', () => {
  test('unwraps its own data keys in a later life', async () => {
    const kekId = makeKekFile(kekPath(), random)
    const dataKey = randomBytes(32)
    const first = await openFileSealing(kekPath(), { random })
    const wrapped = await first.wrap(dataKey, 'data key 1')
    first.close()
    expect(wrapped.includes(dataKey)).toBe(false)
    const second = await openFileSealing(kekPath(), { random })
    expect(second.kekId).toBe(kekId)
    expect((await second.unwrap(kekId, wrapped, 'data key 1')).equals(dataKey)).toBe(true)
    second.close()
  })

  test('wraps the same key differently each time', async () => {
    makeKekFile(kekPath(), random)
    const sealing = await openFileSealing(kekPath(), { random })
    const dataKey = randomBytes(32)
    const wraps = await Promise.all([1, 2].map(() => sealing.wrap(dataKey, 'data key 1')))
    expect(wraps[0]!.equals(wraps[1]!)).toBe(false)
  })

  test('refuses another context, another KEK, and every flipped bit', async () => {
    makeKekFile(kekPath('one'), random)
    makeKekFile(kekPath('two'), random)
    const one = await openFileSealing(kekPath('one'), { random })
    const two = await openFileSealing(kekPath('two'), { random })
    const wrapped = await one.wrap(randomBytes(32), 'data key 1')
    const refused = expect.objectContaining({ code: 'SEALING_FAILED' })
    await expect(one.unwrap(one.kekId, wrapped, 'data key 2')).rejects.toEqual(refused)
    await expect(two.unwrap(one.kekId, wrapped, 'data key 1')).rejects.toEqual(refused)
    await expect(two.unwrap(two.kekId, wrapped, 'data key 1')).rejects.toEqual(refused)
    await expect(one.unwrap(one.kekId, wrapped.subarray(1), 'data key 1')).rejects.toEqual(refused)
    for (let bit = 0; bit < wrapped.length * 8; bit += 7) {
      const flipped = Buffer.from(wrapped)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      await expect(one.unwrap(one.kekId, flipped, 'data key 1')).rejects.toEqual(refused)
    }
  })

  test('does nothing once it is closed', async () => {
    makeKekFile(kekPath(), random)
    const sealing = await openFileSealing(kekPath(), { random })
    sealing.close()
    await expect(sealing.wrap(randomBytes(32), 'data key 1')).rejects.toThrow(TypeError)
  })
})
