import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import supertest from 'supertest'
import { createTestCa } from '../helpers/test-ca.ts'
import { Etsi014Server, keysOf } from '../helpers/etsi014-server.ts'

const STATUS = '/api/v1/keys/sae-b/status'
const ENC = '/api/v1/keys/sae-b/enc_keys'
const DEC = '/api/v1/keys/sae-a/dec_keys'

let server: Etsi014Server
beforeAll(async () => {
  server = await Etsi014Server.start()
})
afterAll(() => server[Symbol.asyncDispose]())

const get = (target: string, ...headers: readonly string[]): string =>
  [`GET ${target} HTTP/1.1`, 'Host: x', 'Connection: close', ...headers, '', ''].join('\r\n')

const expectError = (
  answer: { readonly status: number; readonly body: string },
  status: number,
) => {
  expect(answer.status).toBe(status)
  const error = JSON.parse(answer.body)
  expect(typeof error.message).toBe('string')
}

describe('5.1 authentication', () => {
  test('5.1 without a client certificate there is no answer at all', async () => {
    const { ca } = await server.certificate('sae-a')
    await expect(supertest.agent(server.url, { ca }).get(STATUS)).rejects.toThrow()
  })

  test('5.1 with a certificate of another CA there is no answer at all', async () => {
    const { ca } = await server.certificate('sae-a')
    const { cert, key } = await (await createTestCa()).issue('sae-a')
    await expect(supertest.agent(server.url, { ca, cert, key }).get(STATUS)).rejects.toThrow()
  })

  test.each([
    ['GET', STATUS],
    ['GET', ENC],
    ['POST', ENC],
    ['GET', DEC],
    ['POST', DEC],
    ['POST', '/api/v1/keys/%zz/enc_keys'],
  ])('5.1 a certificate of no registered SAE gets 401 from %s %s', async (method, path) => {
    const agent = await server.as('stranger')
    const response = await (method === 'GET' ? agent.get(path) : agent.post(path).send('{broken'))
    expect(response.status).toBe(401)
    expect(response.body).toEqual({
      message: 'the certificate is not that of a registered SAE, or no longer valid',
    })
    expect(response.headers['cache-control']).toBe('no-store')
  })

  test('5.1 why a certificate is refused is told to the operator, once per connection', async () => {
    const { events } = server.world.observer
    const before = events.length
    await server.raw('stranger', get(STATUS).replace('Connection: close\r\n', '') + get(STATUS))
    expect(events.slice(before)).toEqual([
      {
        level: 'warn',
        name: 'etsi014.caller.refused',
        message: 'a client was refused: the certificate belongs to no registered SAE',
      },
    ])
  })

  test('5.1 the caller is who the certificate says, whatever the request says', async () => {
    const agent = await server.as('sae-a')
    const response = await agent
      .get(STATUS)
      .set('X-SAE-ID', 'sae-c')
      .set('X-Client-Cert', 'CN=sae-c')
    expect(response.body.master_SAE_ID).toBe('sae-a')
    expect(response.body.source_KME_ID).toBe('kme-a')
  })
})

describe('5 methods and paths', () => {
  test.each([
    ['HEAD', ENC],
    ['HEAD', DEC],
    ['HEAD', STATUS],
    ['PUT', ENC],
    ['DELETE', DEC],
    ['OPTIONS', ENC],
    ['PATCH', STATUS],
    ['POST', STATUS],
    ['TRACE', ENC],
  ])('5 %s %s is not a method of the API, and draws no key', async (method, path) => {
    const issued = server.world.issued
    const text = `${method} ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`
    // The answer to HEAD has a length and no body.
    const [answer] = await server.raw('sae-a', text)
    expect(answer?.status).toBe(405)
    expect(answer?.headers['allow']).toBe(path === STATUS ? 'GET' : 'GET, POST')
    if (method !== 'HEAD') expectError(answer!, 405)
    expect(server.world.issued).toBe(issued)
  })

  test.each([
    '/',
    '/api/v1/keys',
    '/api/v1/keys/sae-b',
    '/api/v1/keys/sae-b/',
    `${STATUS}/`,
    '/api/v1/keys//status',
    '//api/v1/keys/sae-b/status',
    '/api/v1/keys/sae-b//status',
    '/API/v1/keys/sae-b/status',
    '/api/v1/keys/sae-b/Status',
    '/api/v1/keys/sae-b/enc_keys/../status',
    '/api/v1/keys/sae-b/status;x=1',
    '/api/v1/keys/sae-b%2Fstatus',
    '/api/v2/keys/sae-b/status',
    '/favicon.ico',
  ])('5 %s is no path of the API', async (path) => {
    const [answer] = await server.raw('sae-a', get(path))
    expectError(answer!, 404)
    expect(answer?.headers['content-type']).toBe('application/json')
    expect(answer?.headers['cache-control']).toBe('no-store')
  })

  test('5 every answer is JSON that nobody may store, and does not name the software', async () => {
    const agent = await server.as('sae-a')
    for (const response of [
      await agent.get(STATUS),
      await agent.post(ENC),
      await agent.get('/none'),
      await agent.get(`${ENC}?number=x`),
    ]) {
      expect(response.headers['content-type']).toBe('application/json')
      expect(response.headers['cache-control']).toBe('no-store')
      expect(response.headers).not.toHaveProperty('x-powered-by')
      expect(response.headers).not.toHaveProperty('etag')
    }
  })
})

describe('5 request targets', () => {
  test('5 two Host headers are refused', async () => {
    const issued = server.world.issued
    const [answer] = await server.raw('sae-a', get(ENC, 'hOST: x'))
    expectError(answer!, 400)
    expect(server.world.issued).toBe(issued)
  })

  test('5 a request without a Host header is refused', async () => {
    const [answer] = await server.raw('sae-a', `GET ${STATUS} HTTP/1.1\r\n\r\n`)
    expectError(answer!, 400)
  })

  test.each([
    ['https://kme-a.example:8443', 200],
    ['HTTPS://KME-A.example:8443', 200],
    ['https://kme-a.example', 400],
    ['https://kme-b.example:8443', 400],
    ['http://kme-a.example:8443', 400],
    ['https://user@kme-a.example:8443', 400],
  ])('5 an absolute target at %s is answered with %d', async (origin, status) => {
    const [answer] = await server.raw('sae-a', get(origin + STATUS))
    expect(answer?.status).toBe(status)
    if (status !== 200) expectError(answer!, status)
  })

  test('5 an absolute target takes its query along', async () => {
    const [answer] = await server.raw('sae-a', get(`https://kme-a.example:8443${ENC}?number=2`))
    expect(JSON.parse(answer!.body).keys).toHaveLength(2)
  })

  test.each(['*', `${STATUS}#x`, 'kme-a.example:8443', 'https://'])(
    '5 the target %s is refused',
    async (target) => {
      const [answer] = await server.raw('sae-a', get(target))
      expectError(answer!, 400)
    },
  )

  test('5 unescaped bytes beyond ASCII in the path are refused', async () => {
    const [answer] = await server.raw(
      'sae-a',
      Buffer.from(get('/api/v1/keys/\xe4/status'), 'latin1'),
    )
    expectError(answer!, 400)
  })
})

describe('5 connections', () => {
  test('5 pipelined requests get one answer each, in order, and different keys', async () => {
    const keepAlive = `GET ${ENC}?size=64 HTTP/1.1\r\nHost: x\r\n\r\n`
    const answers = await server.raw('sae-a', keepAlive.repeat(19) + get(`${ENC}?size=72`))
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200))
    const keys = answers.map(({ body }) => keysOf(JSON.parse(body))[0])
    expect(keys[19]?.key).toHaveLength(12)
    expect(new Set(keys.map((entry) => entry?.key_ID)).size).toBe(20)
  })

  test('5 an old client that speaks HTTP/1.0 is served', async () => {
    const [answer] = await server.raw('sae-a', `GET ${STATUS} HTTP/1.0\r\n\r\n`)
    expect(answer?.status).toBe(200)
  })

  test('5 key material is wiped also where the client went away while it was issued', async () => {
    const { here } = server.world
    const issue = here.issue.bind(here)
    const asked = Promise.withResolvers<undefined>()
    const gone = Promise.withResolvers<undefined>()
    const issued = Promise.withResolvers<Buffer>()
    here.issue = async (request) => {
      asked.resolve(undefined)
      await gone.promise
      const keys = await issue(request)
      issued.resolve(keys.material)
      return keys
    }
    const request = (await server.as('sae-a')).post(ENC)
    const outcome = request.catch((error: unknown) => error)
    await asked.promise
    request.abort()
    expect(await outcome).toBeInstanceOf(Error)
    gone.resolve(undefined)
    const material = await issued.promise
    here.issue = issue
    await new Promise((resolve) => setImmediate(resolve))
    expect(material).toEqual(Buffer.alloc(32))
  })
})
