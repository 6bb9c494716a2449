import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { isKmeError } from '../../src/errors.ts'
import { parseKeyIds, parseKeyQuery, parseKeyRequest } from '../../src/etsi014/parse-request.ts'
import { parseQuery } from '../../src/etsi014/query.ts'
import { takeKeys } from '../../src/etsi014/key-text.ts'
import { Etsi014Server } from '../helpers/etsi014-server.ts'

const LIMITS = { maxDepth: 32, maxStrings: 1024 }

/** A small generator of pseudo-random numbers (mulberry32): a failure can be repeated by its seed. */
const generator = (seed: number) => {
  let state = seed
  return (below: number): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

const PIECES = [
  ...['{', '}', '[', ']', ',', ':', '"', '\\', '\\u0000', '\\ud800', 'null', 'true', '-', '0', '1'],
  ...['1e999', '257', '"number":', '"size":', '"key":', '"key_IDs":', '"key_ID":', '"__proto__":'],
  ...['"additional_slave_SAE_IDs":["sae-c"]', '"extension_mandatory":[{"max_age_s":1}]', ' ', '\n'],
  ...[
    '{"number":1}',
    '"keys":[',
    'AAAA',
    '\ufeff',
    '\u0000',
    'ü',
    '"11111111-2222-4333-8444-555555555555"',
  ],
]

const textOf = (random: (below: number) => number): string =>
  Array.from({ length: random(12) }, () => PIECES[random(PIECES.length)]).join('')

/** What `work` throws that `isExpected` does not know, with the input that led to it. */
const surprises = (
  rounds: number,
  makeInput: (round: number) => Buffer,
  work: (input: Buffer) => void,
  isExpected: (error: unknown) => boolean,
): readonly unknown[] => {
  const found: unknown[] = []
  for (let round = 0; round < rounds; round += 1) {
    const input = makeInput(round)
    const hex = input.toString('hex')
    try {
      work(input)
    } catch (error) {
      if (!isExpected(error)) found.push({ hex, error })
    }
  }
  return found
}

const isBadRequest = (error: unknown): boolean => isKmeError(error, 'BAD_REQUEST')

test('6.2 no body, however it is made, fails otherwise than as a bad request', () => {
  const random = generator(1)
  const makeBody = (round: number): Buffer => {
    const body = Buffer.from(textOf(random))
    if (round % 3 === 0 && body.length > 0) body[random(body.length)] = random(256)
    return body
  }
  for (const parse of [parseKeyRequest, parseKeyIds]) {
    const work = (body: Buffer): void => {
      parse('sae-b', body, LIMITS)
    }
    expect(surprises(25_000, makeBody, work, isBadRequest)).toEqual([])
  }
})

test('6.3 no answer, however it is made, fails otherwise in the client than as a protocol error', () => {
  const random = generator(2)
  const isProtocol = (error: unknown): boolean => isKmeError(error, 'PROTOCOL')
  const makeAnswer = () => Buffer.from(textOf(random))
  expect(surprises(25_000, makeAnswer, takeKeys, isProtocol)).toEqual([])
})

test('5.3 no query string, however it is made, fails otherwise than as a bad request', () => {
  const random = generator(3)
  const pieces = [
    'number',
    'size',
    '=',
    '&',
    '%',
    '%3',
    '%31',
    '1',
    '-',
    '+',
    '%00',
    '%ff',
    '?',
    'x',
  ]
  const makeQuery = () =>
    Buffer.from(Array.from({ length: random(10) }, () => pieces[random(pieces.length)]).join(''))
  const work = (query: Buffer): void => {
    parseKeyQuery('sae-b', parseQuery(query.toString()))
  }
  expect(surprises(25_000, makeQuery, work, isBadRequest)).toEqual([])
})

const isErrorObject = (body: string): boolean => {
  const error: unknown = JSON.parse(body)
  return typeof error === 'object' && error !== null && 'message' in error
}

let server: Etsi014Server
beforeAll(async () => {
  server = await Etsi014Server.start()
})
afterAll(() => server[Symbol.asyncDispose]())

test('5 no request target, however it is made, gets anything but keys, a status or an Error object', async () => {
  const random = generator(4)
  const starts = ['/', '/api/v1/keys/', '/api/v1/keys/sae-b/', 'https://kme-a.example:8443/']
  const pieces = [
    ...['/', 'api/v1/keys/', 'sae-b', '/status', 'enc_keys', '%', '%2f', '%00', '%zz', '..', '.'],
    ...['//', ';', '?', 'number=1', '&', '=', '\\', '|', '{', 'https://', ':8443', '@', '#'],
  ]
  const makeTarget = () => {
    const rest = Array.from({ length: random(6) }, () => pieces[random(pieces.length)])
    return [starts[random(starts.length)], ...rest].join('')
  }
  const last = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
  for (let connection = 0; connection < 20; connection += 1) {
    const targets = Array.from({ length: 100 }, makeTarget)
    const requests = targets.map((target) => `GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`)
    const answers = await server.raw('sae-a', requests.join('') + last)
    expect(answers).toHaveLength(101)
    const wrong = answers.filter(
      ({ status, body }) =>
        ![200, 400, 404, 503].includes(status) || (status !== 200 && !isErrorObject(body)),
    )
    expect(wrong).toEqual([])
  }
  expect(server.world.observer.events).toEqual([])
})
