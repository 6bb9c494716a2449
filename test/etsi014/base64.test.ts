import { randomBytes } from 'node:crypto'
import { expect, test } from '@jest/globals'
import { base64Length, decodeBase64, writeBase64 } from '../../src/etsi014/base64.ts'

test('bytes of every length become the text that the runtime makes, and come back', () => {
  for (let length = 1; length <= 200; length += 1) {
    const bytes = randomBytes(length)
    const text = Buffer.alloc(base64Length(length) + 2, 'x')
    expect(writeBase64(bytes, text, 1)).toBe(text.length - 1)
    expect(text.toString('latin1')).toBe(`x${bytes.toString('base64')}x`)
    expect(decodeBase64(text.subarray(1, -1))).toEqual(bytes)
  }
})

test.each([
  '',
  'A',
  'AA',
  'AAA',
  'AAAAA',
  'A===',
  '====',
  '=AAA',
  'A=AA',
  'AA=A',
  'AB==',
  'AAB=',
  'AA-_',
  'AA A',
  'AAA\n',
])('%j is not the one way to write any bytes', (text) => {
  expect(decodeBase64(Buffer.from(text))).toBeNull()
})
