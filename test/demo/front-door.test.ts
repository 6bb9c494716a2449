import { expect, test } from '@jest/globals'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { COMMANDS } from '../../src/cli/commands.ts'

const root = resolve(import.meta.dirname, '../..')
const page = (name: string): string => readFileSync(resolve(root, name), 'utf8')

/** The cells of each row of a table that begins with a code word: without its marks. */
const rowsOf = (text: string): readonly (readonly string[])[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.slice(1, -1).split('|'))
    .map((cells) => cells.map((cell) => cell.trim().replaceAll('`', '')))

interface LayerRule {
  readonly comment?: string
}

test('the table of rooms in the architecture page is the one that is linted', () => {
  const { forbidden } = createRequire(import.meta.url)(
    resolve(root, '.dependency-cruiser.cjs'),
  ) as { readonly forbidden: readonly LayerRule[] }
  const linted = forbidden.flatMap(({ comment }) =>
    comment !== undefined && /^src\/\S+ may import: /.test(comment) ? [comment] : [],
  )
  const rooms = page('docs/architecture.md').split('## Rooms')[1]?.split('\n## ')[0] ?? ''

  const written = rowsOf(rooms).map(
    ([room, , seen]) => `src/${String(room)} may import: ${String(seen)}`,
  )

  expect([...written].sort()).toEqual([...linted].sort())
})

test('every command is in the README', () => {
  const commands = page('README.md').split('## Commands')[1]?.split('\n## ')[0] ?? ''
  const named = new Set(rowsOf(commands).map(([words]) => String(words).split(/[ ,]/)[0]))

  expect([...named].sort()).toEqual(Object.keys(COMMANDS).sort())
})

test('the operations page explains every alarm and every reason', () => {
  const alarms = [...page('src/ports/observer.ts').matchAll(/^ {2}\| '([a-z-]+)'/gm)].map(
    ([, name]) => String(name),
  )
  const reasons = [...page('src/kme/views.ts').matchAll(/'((?:no|peer|store)-[a-z]+)'/g)].map(
    ([, name]) => String(name),
  )
  const explained = rowsOf(page('docs/operations.md')).flatMap(([name]) => String(name).split(', '))

  expect(alarms.length).toBeGreaterThan(10)
  expect(reasons.length).toBeGreaterThan(4)
  expect([...alarms, ...reasons].filter((name) => !explained.includes(name))).toEqual([])
})
