import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { openFileSealing } from '../../src/sealing/file-sealing.ts'
import { makeKekFile } from '../../src/sealing/kek-file.ts'
import { beginKekReplacement, finishKekReplacement } from '../../src/sealing/kek-replacement.ts'
import { systemRandom } from '../../src/support/system-clock.ts'

const options = { random: systemRandom }

let directory = ''
let path = ''
let formerKekId = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'keyspring kek '))
  path = join(directory, 'kek')
  formerKekId = makeKekFile(path, systemRandom)
})
afterEach(() => {
  chmodSync(directory, 0o700)
  rmSync(directory, { recursive: true })
})

const lines = (): readonly string[] => readFileSync(path, 'latin1').split('\n').slice(0, -1)

describe('a KEK that is being replaced', () => {
  test('stays in the file beside the next one, which wraps; both unwrap', async () => {
    const before = lines()
    const dataKey = randomBytes(32)
    const former = await openFileSealing(path, options)
    const old = await former.wrap(dataKey, 'data key 1')
    const { kekId, ...rest } = await beginKekReplacement(path, options)
    expect(rest).toEqual({ formerKekId })
    expect(lines()).toEqual([before[0], expect.stringMatching(`^keyspring-kek-1 ${kekId} `)])
    expect(statSync(path).mode & 0o777).toBe(0o600)
    const both = await openFileSealing(path, options)
    expect([both.kekId, both.kekIds]).toEqual([kekId, [formerKekId, kekId]])
    const renewed = await both.wrap(dataKey, 'data key 1')
    expect(await both.unwrap(formerKekId, old, 'data key 1')).toEqual(dataKey)
    expect(await both.unwrap(kekId, renewed, 'data key 1')).toEqual(dataKey)
    await finishKekReplacement(path, { formerKekId, kekId })
    expect(lines()).toEqual([expect.stringMatching(`^keyspring-kek-1 ${kekId} `)])
    const next = await openFileSealing(path, options)
    expect(await next.unwrap(kekId, renewed, 'data key 1')).toEqual(dataKey)
    await expect(next.unwrap(formerKekId, old, 'data key 1')).rejects.toMatchObject({
      code: 'SEALING_FAILED',
    })
    expect(readdirSync(directory)).toEqual(['kek'])
  })

  test('is replaced by the one that was begun, however often it is begun again or finished', async () => {
    const begun = await beginKekReplacement(path, options)
    const both = lines()
    expect(await beginKekReplacement(path, options)).toEqual(begun)
    expect(lines()).toEqual(both)
    for (let n = 0; n < 2; n += 1) {
      await finishKekReplacement(path, begun)
      expect(lines()).toEqual([both[1]])
    }
  })

  test('is not taken away where the file ends with a KEK that the store is not under', async () => {
    const begun = await beginKekReplacement(path, options)
    const both = lines()
    const other = { ...begun, kekId: '0'.repeat(16) }
    await expect(finishKekReplacement(path, other)).rejects.toThrow(
      /holds KEK [0-9a-f]{16} instead of 0{16}/,
    )
    expect(lines()).toEqual(both)
  })

  test('is replaced in the file that a link leads to, and what a crash left behind goes', async () => {
    mkdirSync(join(directory, 'links'))
    const link = join(directory, 'links', 'kek')
    symlinkSync(path, link)
    const left = join(directory, '.kek.next')
    writeFileSync(left, 'a part of', { mode: 0o600 })
    await beginKekReplacement(link, options)
    expect(lines()).toHaveLength(2)
    expect(existsSync(left)).toBe(false)
    expect(readdirSync(join(directory, 'links'))).toEqual(['kek'])
  })

  test('stays as it is where its place cannot be written to, and one line says what to do', async () => {
    const before = lines()
    // A directory in the way of the new file, for also root could write to any place.
    mkdirSync(join(directory, '.kek.next', 'x'), { recursive: true })
    await expect(beginKekReplacement(path, options)).rejects.toMatchObject({
      code: 'SEALING_FAILED',
      message: expect.stringMatching(
        /^KEK file .*kek: cannot be replaced \(.*\): where it is a credential or a mount, stop the KME, copy [^\n]+$/,
      ),
    })
    expect(lines()).toEqual(before)
  })
})
