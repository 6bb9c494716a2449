import { describe, expect, test } from '@jest/globals'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findCopiedBack, markOf, readMark, writeMark } from '../../src/stores/sqlite/mark-file.ts'

const link = { linkId: 'l', life: 3, changes: 10 }
const store = { generation: 'b', formerGenerations: ['a'], links: [link] }

describe('a store beside its mark', () => {
  test.each([
    ['as marked', store],
    ['with more changes', { ...store, links: [{ ...link, changes: 11 }] }],
    ['with a later life', { ...store, links: [{ ...link, life: 4 }] }],
    [
      'that has taken a new generation since',
      { ...store, generation: 'c', formerGenerations: ['a', 'b'], links: [] },
    ],
  ])('is the one that last ran: %s', (_, present) => {
    expect(findCopiedBack(markOf(store), present)).toBeNull()
  })

  test.each([
    ['an earlier life', { ...store, links: [{ ...link, life: 2 }] }],
    ['fewer changes', { ...store, links: [{ ...link, changes: 9 }] }],
    ['a link less', { ...store, links: [] }],
    ['a generation of before a restore', { ...store, generation: 'a', formerGenerations: [] }],
  ])('was copied back: %s', (_, present) => {
    expect(findCopiedBack(markOf(store), present)).not.toBeNull()
  })
})

test('a mark is for the owner alone, replaced whole, and not taken for one when damaged', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'keyspring mark '))
  const path = join(directory, 'store.db.mark')
  expect(await readMark(path)).toBeNull()
  await writeMark(path, markOf({ ...store, links: [] }))
  await writeMark(path, markOf(store))
  expect(await readMark(path)).toEqual({ generation: 'b', links: [link] })
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(readdirSync(directory)).toEqual(['store.db.mark'])
  writeFileSync(path, '{"generation":')
  await expect(readMark(path)).rejects.toThrow()
  rmSync(directory, { recursive: true })
})
