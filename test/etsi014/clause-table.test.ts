import { readFileSync, readdirSync } from 'node:fs'
import { expect, test } from '@jest/globals'

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8')

const sources = readdirSync(new URL('.', import.meta.url))
  .filter((name) => name.startsWith('clause-') && !name.startsWith('clause-table'))
  .map((name) => ({ name, text: read(name) }))

/** What needs a KME's own reading of certificates is shown where that is tested. */
const named = [
  ...sources,
  { name: 'listener-identity', text: read('../http/listener-identity.test.ts') },
]

/** Rows of the tables, without heads and rulers: their cells. */
const rows = read('../../docs/etsi-014.md')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| what |'))
  .map((line) => line.split('|').map((cell) => cell.trim()))

test('every row of the clause table says its state and names a test that exists', () => {
  expect(rows.length).toBeGreaterThan(50)
  for (const [, what, state, , name] of rows) {
    expect({ what, state }).toEqual({ what, state: expect.stringMatching(/^(done|optional|D)$/) })
    const quoted = `'${String(name).replaceAll('`', '')}'`
    const found = named.filter(({ text }) => text.includes(quoted))
    expect({ what, name, found: found.length }).toEqual({ what, name, found: 1 })
  }
})

test('every decision of ours gives its reason or its rule', () => {
  const silent = rows.filter(([, , state, decision]) => state === 'D' && decision === '')
  expect(silent).toEqual([])
})

test('every test of a clause begins with its clause', () => {
  for (const { name, text } of sources) {
    const [clause = ''] = /\d\.\d/.exec(name) ?? []
    const titles = Array.from(
      text.matchAll(/\btest(?:\.each.*?\]\))?\(\s*'([^']+)'/gs),
      ([, title]) => title,
    )
    expect(titles.length).toBeGreaterThan(1)
    for (const title of titles) expect(title).toMatch(new RegExp(`^(${clause}|5) `))
  }
})
