import { randomBytes } from 'node:crypto'
import { expect, test } from '@jest/globals'
import { Recorder } from './recorder.ts'
import { LeakScan } from './stage/leak-scan.ts'

const KEY = randomBytes(64)
const SHORT_KEY = randomBytes(8)

const scan = (() => {
  const recorder = new Recorder()
  recorder.see([
    { key_ID: 'one', key: Buffer.from(KEY) },
    { key_ID: 'two', key: Buffer.from(SHORT_KEY) },
  ])
  return new LeakScan(recorder.fingerprinter, recorder.windows.values())
})()

const formsIn = (bytes: Buffer): readonly string[] =>
  scan.find('there', bytes).map(({ form }) => form)

const amid = (...parts: readonly (Buffer | string)[]): Buffer =>
  Buffer.concat([
    randomBytes(1_048_570),
    ...parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)),
    randomBytes(1000),
  ])

test('finds nothing in other bytes', () => {
  expect(formsIn(randomBytes(2_000_000))).toEqual([])
  expect(formsIn(Buffer.from(randomBytes(100_000).toString('base64')))).toEqual([])
})

test('finds a key, a short key and a part of a key, wherever they lie', () => {
  expect(formsIn(amid(KEY))).toEqual(['bytes'])
  expect(formsIn(amid(SHORT_KEY))).toEqual(['bytes'])
  for (const start of [0, 1, 9, 31]) {
    expect(formsIn(amid(KEY.subarray(start, start + 15)))).toEqual(['bytes'])
  }
})

test.each(['base64', 'base64url', 'hex'] as const)('finds keys as %s, amid other text', (form) => {
  const expected = form === 'hex' ? 'hex' : 'base64'
  for (const key of [KEY, SHORT_KEY]) {
    for (const before of ['', 'a', 'ab', 'abc']) {
      const text = ` "${before}${key.toString(form)}" `
      expect(formsIn(amid(text))).toContain(expected)
    }
  }
  expect(formsIn(amid(`:${KEY.toString('hex').toUpperCase()}:`))).toContain('hex')
})
