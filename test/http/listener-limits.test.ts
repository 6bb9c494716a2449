import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { Agent } from 'node:https'
import { connect } from 'node:net'
import type { TestCertificate } from '../helpers/test-ca.ts'
import { SaeWorld, addressPort, call, closed, openTls, readAll } from './listener-fixture.ts'

let world: SaeWorld
let sae: TestCertificate
beforeAll(async () => {
  world = await SaeWorld.create()
  sae = await world.ca.issue('sae-a')
})
afterEach(() => world.closeListeners())
afterAll(() => world[Symbol.asyncDispose]())

const QUICK = { headersTimeoutMs: 200, bodyTimeoutMs: 300, idleTimeoutMs: 200, stallTimeoutMs: 600 }

const messageIn = (answer: string): unknown => {
  const [, body = ''] = answer.split('\r\n\r\n')
  return JSON.parse(body)
}

describe('Slow and silent clients', () => {
  test('a client that never speaks TLS is cut off, and delays nobody', async () => {
    const listener = await world.listen({ tls: { handshakeTimeoutMs: 300 } })
    const silent = Array.from({ length: 40 }, () => connect(addressPort(listener), '127.0.0.1'))
    const gone = Promise.all(silent.map((socket) => once(socket.resume(), 'close')))
    for (const socket of silent) socket.on('error', () => {})
    expect(await call(listener, sae)).toMatchObject({ status: 200 })
    await gone
  })

  test('a client that sends nothing after its handshake is closed', async () => {
    const listener = await world.listen({ limits: QUICK })
    await closed(await openTls(listener, sae))
  })

  test('headers that come byte by byte are answered 408, while others are served', async () => {
    const listener = await world.listen({ limits: QUICK })
    const slow = await openTls(listener, sae)
    const answer = readAll(slow)
    slow.write('GET / HTTP/1.1\r\nHost: local')
    const drip = setInterval(() => slow.write('x'), 50)
    expect(await call(listener, sae)).toMatchObject({ status: 200 })
    expect(await answer).toMatch(/^HTTP\/1.1 408 /)
    clearInterval(drip)
  })

  test('a body that does not come is answered 408 with an error body', async () => {
    const listener = await world.listen({
      limits: QUICK,
      handler: () => (request, response) => {
        request.resume().on('end', () => response.end('whole'))
      },
    })
    const slow = await openTls(listener, sae)
    slow.write('POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{')
    const answer = await readAll(slow)
    expect(answer).toMatch(/^HTTP\/1.1 408 /)
    expect(messageIn(answer)).toEqual({ message: 'the request did not arrive in time' })
  })

  test('a client that does not read its answer is closed', async () => {
    const big = Buffer.alloc(32 * 1_048_576)
    const listener = await world.listen({
      limits: QUICK,
      handler: () => (_request, response) => response.end(big),
    })
    const deaf = await openTls(listener, sae)
    deaf.pause()
    deaf.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    while (listener.connections() > 0) await new Promise((resolve) => setTimeout(resolve, 20))
    deaf.destroy()
  })

  test('an idle connection is closed after its time', async () => {
    const listener = await world.listen({ limits: { ...QUICK, headersTimeoutMs: 5000 } })
    const idle = await openTls(listener, sae)
    const answer = readAll(idle)
    idle.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    expect(await answer).toContain('200 OK')
  })
})

describe('What is no proper request', () => {
  const send = async (text: string): Promise<string> => {
    const socket = await openTls(await world.listen(), sae)
    socket.write(text)
    return readAll(socket)
  }

  test('too many headers are answered 431 with an error body', async () => {
    const answer = await send(`GET / HTTP/1.1\r\nHost: a\r\nX-Big: ${'x'.repeat(20_000)}\r\n\r\n`)
    expect(answer).toMatch(/^HTTP\/1.1 431 Request Header Fields Too Large\r\n/)
    expect(answer).toContain('Content-Type: application/json\r\n')
    expect(messageIn(answer)).toEqual({ message: 'the headers of the request are too large' })
  })

  test('ten thousand headers are answered 431', async () => {
    const headers = Array.from({ length: 10_000 }, (_, index) => `h${index}: 1\r\n`).join('')
    expect(await send(`GET / HTTP/1.1\r\nHost: a\r\n${headers}\r\n`)).toMatch(/^HTTP\/1.1 431 /)
  })

  test.each([
    ['a line that is no HTTP', 'nonsense\r\n\r\n', 400],
    [
      'two lengths',
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
      400,
    ],
    [
      'a length and chunks',
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      400,
    ],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['an unknown expectation', 'GET / HTTP/1.1\r\nHost: a\r\nExpect: miracle\r\n\r\n', 417],
    ['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n', 405],
  ])('%s is answered with an error body', async (_, text, status) => {
    const answer = await send(text)
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${String(status)} `))
    expect(messageIn(answer)).toHaveProperty('message')
    expect(answer.split('HTTP/1.1 ')).toHaveLength(2)
  })

  test.each(['https://', 'http://?x', 'https://[', 'https://a:b/'])(
    'the target %s, in which no router finds a path, never gets to one',
    async (target) => {
      const listener = await world.listen({
        handler: () => () => {
          throw new Error('a handler was asked')
        },
      })
      const socket = await openTls(listener, sae)
      socket.write(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`)
      const answer = await readAll(socket)
      expect(answer).toMatch(/^HTTP\/1.1 400 /)
      expect(messageIn(answer)).toHaveProperty('message')
    },
  )

  test('more pipelined requests than the parser takes at once are all answered, in order', async () => {
    const listener = await world.listen({
      handler: () => (request, response) => {
        response.end(`<${request.url ?? ''}>`.padEnd(500, '.'))
      },
    })
    const socket = await openTls(listener, sae)
    const count = 2000
    const requests = Array.from({ length: count - 1 }, (_, i) => `GET /${String(i + 1)} HTTP/1.1`)
    requests.push('GET /last HTTP/1.1\r\nConnection: close')
    // At once: it has to come in full TLS records, one right after the other.
    socket.write(requests.map((line) => `${line}\r\nHost: a\r\n\r\n`).join(''))
    const answers = (await readAll(socket)).match(/<\/[^>]*>/g) ?? []
    expect(answers).toHaveLength(count)
    expect(answers.slice(0, -1)).toEqual(
      Array.from({ length: count - 1 }, (_, i) => `</${String(i + 1)}>`),
    )
  })

  test('a request that was answered before its body came gets no second answer', async () => {
    const listener = await world.listen({
      limits: QUICK,
      handler: () => (_request, response) => {
        response.end('early')
      },
    })
    const socket = await openTls(listener, sae)
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{')
    expect((await readAll(socket)).split('HTTP/1.1 ')).toHaveLength(2)
  })

  test('nonsense after a legal request comes after its answer, not instead of it', async () => {
    const listener = await world.listen({
      handler: () => (_request, response) => {
        setTimeout(() => response.end('first'), 100)
      },
    })
    const socket = await openTls(listener, sae)
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\nnonsense\r\n\r\n')
    const answer = await readAll(socket)
    expect(answer).toMatch(/^HTTP\/1.1 200 OK/)
    expect(answer).toContain('first')
    expect(answer.split('HTTP/1.1 ')).toHaveLength(2)
  })

  test('a malformed chunk is answered 400 while its request waits for it', async () => {
    const listener = await world.listen({
      handler: () => (request, response) => {
        request.resume().on('end', () => response.end('whole'))
      },
    })
    const socket = await openTls(listener, sae)
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n')
    expect(await readAll(socket)).toMatch(/^HTTP\/1.1 400 /)
  })
})

describe('How many connections', () => {
  test('one SAE has no more than its share, and another is served', async () => {
    const listener = await world.listen({ tls: { maxConnectionsPerOwner: 2 } })
    const [first, second] = [await openTls(listener, sae), await openTls(listener, sae)]
    world.observer.events.length = 0
    await expect(call(listener, sae)).rejects.toThrow()
    await expect(call(listener, sae)).rejects.toThrow()
    expect(world.observer.names()).toEqual(['listener.connections.refused'])
    expect(await call(listener, await world.ca.issue('sae-b'))).toMatchObject({ status: 200 })
    const gone = closed(first)
    first.destroy()
    await gone
    while (listener.connections() > 1) await new Promise((resolve) => setTimeout(resolve, 10))
    expect(await call(listener, sae)).toMatchObject({ status: 200 })
    second.destroy()
  })

  test('all together have no more than the listener allows', async () => {
    const listener = await world.listen({ limits: { maxConnections: 1 } })
    const only = await openTls(listener, sae)
    await expect(call(listener, sae)).rejects.toThrow()
    only.destroy()
  })
})

describe('Closing', () => {
  test('lets a request under way finish, closes idle connections and takes no new ones', async () => {
    let arrive: (response: ServerResponse) => void = () => {}
    const arrived = new Promise<ServerResponse>((resolve) => {
      arrive = resolve
    })
    const listener = await world.listen({
      handler: () => (_request, response) => {
        arrive(response)
      },
    })
    const idle = await openTls(listener, sae)
    const idleGone = closed(idle)
    const agent = new Agent({ keepAlive: true })
    const underWay = call(listener, sae, { agent })
    const response = await arrived
    const closing = listener.close({ drainMs: 60_000 })
    await idleGone
    await expect(call(listener, sae)).rejects.toThrow()
    response.end('finished')
    expect(await underWay).toMatchObject({ status: 200, body: 'finished' })
    await closing
    expect(listener.connections()).toBe(0)
    agent.destroy()
  })

  test('cuts what is not finished when its time is over, and may be called twice', async () => {
    const listener = await world.listen({ handler: () => () => {} })
    const stuck = call(listener, sae)
    const refused = expect(stuck).rejects.toThrow()
    while (listener.connections() < 1) await new Promise(setImmediate)
    await Promise.all([listener.close({ drainMs: 50 }), listener.close({ drainMs: 60_000 })])
    await refused
  })

  test('ends a connection that is still in its handshake', async () => {
    const listener = await world.listen()
    const silent = connect(addressPort(listener), '127.0.0.1')
    silent.on('error', () => {})
    while (listener.connections() < 1) await new Promise(setImmediate)
    await listener.close({ drainMs: 50 })
    expect(listener.connections()).toBe(0)
    silent.destroy()
  })
})
