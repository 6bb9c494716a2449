import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { once } from 'node:events'
import { connect } from 'node:tls'
import { KmeError } from '../../src/errors.ts'
import { answerOf, listenerErrorBody } from '../../src/etsi014/errors.ts'
import { Etsi014Server, parseAnswers } from '../helpers/etsi014-server.ts'

const ENC = '/api/v1/keys/sae-b/enc_keys'
const DEC = '/api/v1/keys/sae-a/dec_keys'
const STATUS = '/api/v1/keys/sae-b/status'

let server: Etsi014Server
beforeAll(async () => {
  server = await Etsi014Server.start()
})
afterAll(() => server[Symbol.asyncDispose]())

const post = (length: number | 'chunked', ...headers: readonly string[]): string =>
  [
    `POST ${ENC} HTTP/1.1`,
    'Host: x',
    length === 'chunked' ? 'Transfer-Encoding: chunked' : `Content-Length: ${length}`,
    ...headers,
    '',
    '',
  ].join('\r\n')

const expectErrors = (
  answers: readonly { status: number; body: string }[],
  ...statuses: number[]
) => {
  expect(answers.map(({ status }) => status)).toEqual(statuses)
  for (const { body } of answers) {
    const error = JSON.parse(body)
    expect(Object.keys(error)).toEqual(['message'])
    expect(error.message).toMatch(/^.+$/)
  }
}

describe('6.5 encoded bodies are never decoded', () => {
  const encodings = ['br', 'gzip', 'deflate', 'zstd', 'identity, br', 'x-gzip', 'GZIP', 'none']
  test.each(encodings)('6.5 Content-Encoding %s is refused on every route', async (encoding) => {
    const issued = server.world.issued
    const agent = await server.as('sae-a')
    for (const request of [agent.post(ENC), agent.post(DEC), agent.get(ENC), agent.get(STATUS)]) {
      const { status, body } = await request.set('Content-Encoding', encoding)
      expect(status).toBe(415)
      expect(body).toEqual({ message: 'no Content-Encoding but identity is accepted' })
    }
    expect(server.world.issued).toBe(issued)
  })

  test('6.5 identity is no encoding', async () => {
    const agent = await server.as('sae-a')
    expect((await agent.post(ENC).set('Content-Encoding', 'Identity').send({})).status).toBe(200)
  })

  test('6.5 a compressed transfer is refused', async () => {
    const text = [
      `POST ${ENC} HTTP/1.1`,
      'Host: x',
      'Transfer-Encoding: gzip, chunked',
      'Connection: close',
      '',
      '0\r\n\r\n',
    ]
    expectErrors(await server.raw('sae-a', text.join('\r\n')), 415)
  })
})

describe('6.5 types of a body', () => {
  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/jsonx',
    'application/json; charset=utf-16',
    'application/json, text/plain',
    'multipart/form-data; boundary=x',
    '',
  ])('6.5 the type %j of a body is refused', async (type) => {
    const text = `${post(2, `Content-Type: ${type}`, 'Connection: close')}{}`
    expectErrors(await server.raw('sae-a', text), 415)
  })

  test.each([
    'application/json',
    'Application/JSON; charset=UTF-8',
    'application/json;charset="utf-8"',
    'application/json; profile="x"; charset=utf-8',
    'application/json;',
  ])('6.5 the type %j of a body is accepted', async (type) => {
    const text = `${post(2, `Content-Type: ${type}`, 'Connection: close')}{}`
    expect((await server.raw('sae-a', text))[0]?.status).toBe(200)
  })
})

describe('6.5 bodies that are too long', () => {
  test('6.5 a body of 16 KiB is read, and one byte more is refused', async () => {
    const body = `{"number":1${' '.repeat(16_384 - 12)}}`
    expect((await server.raw('sae-a', post(16_384, 'Connection: close') + body))[0]?.status).toBe(
      200,
    )
    const long = `${post(16_385, 'Connection: close')}${body} `
    expectErrors(await server.raw('sae-a', long), 413)
  })

  test('6.5 a connection goes on after a body that was a little too long', async () => {
    const tooLong = post(20_000) + 'x'.repeat(20_000)
    const chunk = `4e20\r\n${'x'.repeat(20_000)}\r\n0\r\n\r\n`
    const next = post(0, 'Connection: close')
    const answers = await server.raw('sae-a', tooLong, post('chunked') + chunk, next)
    expect(answers.map(({ status }) => status)).toEqual([413, 413, 200])
  })

  test('6.5 a connection ends after a body that goes on and on, and little of it is kept', async () => {
    const chunk = Buffer.from(`10000\r\n${'x'.repeat(65_536)}\r\n`)
    const rssBefore = process.memoryUsage().arrayBuffers
    const chunks = Array.from({ length: 100 }, () => chunk)
    const answers = await server.raw('sae-a', post('chunked'), ...chunks)
    expectErrors(answers, 413)
    expect(answers[0]?.headers['connection']).toBe('close')
    expect(process.memoryUsage().arrayBuffers - rssBefore).toBeLessThan(20_000_000)
  })

  test('6.5 a client that reads nothing before it has written all of a huge body gets its answer', async () => {
    const { ca, cert, key } = await server.certificate('sae-a')
    const { port } = server
    const socket = connect({ host: '127.0.0.1', port, ca, cert, key })
    socket.on('error', () => {})
    await once(socket, 'secureConnect')
    const body = Buffer.alloc(4_000_000, 0x20)
    await new Promise((resolve) => socket.write(post(body.length), resolve))
    await new Promise((resolve) => socket.write(body, resolve))
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    await once(socket, 'close')
    expectErrors(parseAnswers(Buffer.concat(chunks).toString()), 413)
  })

  test('6.5 a body that is announced as huge is refused before it comes', async () => {
    expectErrors(await server.raw('sae-a', post(1_000_000_000)), 413)
  })

  test('6.5 the same holds for a body with GET, which means nothing', async () => {
    const head = `GET ${ENC} HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\nConnection: close\r\n\r\n`
    const issued = server.world.issued
    expectErrors(await server.raw('sae-a', head + 'x'.repeat(20_000)), 413)
    expect(server.world.issued).toBe(issued)
  })

  test('6.5 a refused caller and an unknown path get their answer behind a long body too', async () => {
    const body = 'x'.repeat(100_000)
    expectErrors(await server.raw('stranger', post(100_000, 'Connection: close') + body), 401)
    const unknown = post(100_000, 'Connection: close').replace(ENC, '/none') + body
    expectErrors(await server.raw('sae-a', unknown), 404)
  })
})

describe('6.5 what never becomes a request', () => {
  test.each([
    ['no HTTP', 'hello\r\n\r\n', 400],
    ['two lengths', post(2, 'Content-Length: 3') + '{}', 400],
    ['a length and chunks', post(2, 'Transfer-Encoding: chunked') + '{}', 400],
    ['a broken chunk', `${post('chunked')}zz\r\n`, 400],
    ['a blank before the colon', post(0, 'X : y'), 400],
    ['a folded header', post(0, 'X: y\r\n z'), 400],
    ['endless headers', post(0, `X: ${'x'.repeat(40_000)}`), 431],
    ['an endless target', `GET /${'x'.repeat(70_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 431],
  ])('6.5 %s gets an Error object', async (_, text, status) => {
    expectErrors(await server.raw('sae-a', text), status)
  })

  test('6.5 a listener can make Error objects too', () => {
    const { contentType, body } = listenerErrorBody(408, 'the request did not arrive in time')
    expect(contentType).toBe('application/json')
    expect(JSON.parse(body)).toEqual({ message: 'the request did not arrive in time' })
  })
})

describe('6.5 details', () => {
  test('6.5 details come only where there are some, and never with a 503', () => {
    const details = [{ a: 'b' }]
    const bodyOf = (error: unknown): unknown => JSON.parse(answerOf(error).body.toString())
    expect(bodyOf(new KmeError('BAD_REQUEST', 'x', { details }))).toEqual({ message: 'x', details })
    expect(bodyOf(new KmeError('BAD_REQUEST', 'x'))).toEqual({ message: 'x' })
    expect(bodyOf(new KmeError('NOT_READY', 'x', { details }))).toEqual({ message: 'x' })
  })

  test('6.5 Retry-After is whole seconds, at least one', () => {
    const retryOf = (retryAfterS: number) =>
      answerOf(new KmeError('NOT_READY', 'x', { retryAfterS })).headers[1]
    expect([0, 0.2, 1, 1.2].map(retryOf)).toEqual(['1', '1', '1', '2'])
  })

  test('6.5 a link that starts anew is no fault of this KME', () => {
    const { status, internal } = answerOf(new KmeError('LIFE_ENDED', 'x'))
    expect([status, internal]).toEqual([503, false])
  })
})
