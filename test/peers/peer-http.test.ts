import { afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { createServer, request } from 'node:https'
import { once } from 'node:events'
import type { X509Certificate } from 'node:crypto'
import type { IncomingMessage, RequestListener } from 'node:http'
import type { Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Hello, PeerAnswer, PeerHandler, PeerMessage, Stamp } from '../../src/ports/peer.ts'
import { PeerClient } from '../../src/peers/client.ts'
import { RecordingObserver } from '../helpers/recording-observer.ts'
import { createPeerRoutes } from '../../src/peers/routes.ts'
import { createTestCa } from '../helpers/test-ca.ts'
import { eventually } from '../helpers/eventually.ts'
import { systemRandom } from '../../src/support/system-clock.ts'

const NAME = 'ab'.repeat(16)
const lane = { appendedBytes: 0, usableBytes: 0, consumed: [], granted: [] }
const helloOf = (kmeId: string): Hello => ({
  nonce: NAME,
  versions: [1],
  kmeId,
  linkId: 'a/b link',
  generation: NAME,
  life: 1,
  commitCounter: 0,
  restored: false,
  epoch: null,
  epochAfterRestoreOf: null,
  lastBatch: 0,
  lanes: { verifier: lane, follower: lane },
  knownOfYou: null,
})
const stamp: Stamp = {
  epoch: { counter: 1, id: NAME },
  senderLife: 1,
  receiverLife: 1,
  commitCounter: 0,
}
const heartbeat = { kind: 'closed', batch: 1 } as const

/** The other end: answers everything with `done`, and keeps what it was told. */
class Listening implements PeerHandler {
  readonly linkId = 'a/b link'
  readonly heard: PeerMessage[] = []

  async hello(question: Hello): Promise<Hello> {
    return { ...helloOf('kme-b'), nonce: question.nonce }
  }

  async receive(_stamp: Stamp, messages: readonly PeerMessage[]): Promise<readonly PeerAnswer[]> {
    this.heard.push(...messages)
    return messages.map(() => ({ result: 'done' }))
  }
}

const commonName = (certificate: X509Certificate): string =>
  /CN=(.*)/.exec(certificate.subject)?.[1] ?? ''

const identify = (incoming: IncomingMessage): string | null => {
  const { socket } = incoming
  const certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined
  return certificate ? commonName(certificate) : null
}

type Ca = Awaited<ReturnType<typeof createTestCa>>
type Issued = Awaited<ReturnType<Ca['issue']>>

describe('the peer protocol over HTTPS', () => {
  let ca: Ca
  let kmeA: Issued
  let kmeB: Issued
  let kmeC: Issued
  const servers: Server[] = []
  const clients: PeerClient[] = []

  beforeAll(async () => {
    ca = await createTestCa()
    kmeA = await ca.issue('kme-a')
    kmeB = await ca.issue('kme-b')
    kmeC = await ca.issue('kme-c')
  })

  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close()))
    for (const server of servers.splice(0)) {
      server.closeAllConnections()
      server.close()
    }
  })

  const listen = async (handler: RequestListener, identity: Issued = kmeB): Promise<number> => {
    const tls = { cert: identity.cert, key: identity.key, ca: identity.ca }
    const server = createServer({ ...tls, requestCert: true, rejectUnauthorized: true }, handler)
    servers.push(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }

  const routes = (link: PeerHandler): RequestListener =>
    createPeerRoutes({
      kmeId: 'kme-b',
      identify,
      linkOf: (linkId, peer) => (linkId === link.linkId && peer === 'kme-a' ? link : null),
      observer: new RecordingObserver(),
    })

  const connect = (port: number, identity: Issued = kmeA, timeoutMs = 5_000): PeerClient => {
    const client = new PeerClient({
      linkId: 'a/b link',
      peerKmeId: 'kme-b',
      host: '127.0.0.1',
      port,
      random: systemRandom,
      timeoutMs,
      tls: () => ({ cert: identity.cert, key: identity.key, ca: identity.ca }),
      kmeIdOf: commonName,
    })
    clients.push(client)
    return client
  }

  const post = async (port: number, body: string, headers: Record<string, string> = {}) => {
    const outgoing = request({
      host: '127.0.0.1',
      port,
      method: 'POST',
      path: '/peer/v1/links/a%2Fb%20link/messages',
      headers: { 'Content-Type': 'application/json', ...headers },
      cert: kmeA.cert,
      key: kmeA.key,
      ca: kmeA.ca,
      checkServerIdentity: () => undefined,
    })
    outgoing.end(body)
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
    response.resume()
    return response.statusCode
  }

  test('carries a hello and messages to the link that both ends name', async () => {
    const link = new Listening()
    const client = connect(await listen(routes(link)))
    expect(await client.hello(helloOf('kme-a'))).toEqual(helloOf('kme-b'))
    expect(await client.send(stamp, [heartbeat])).toEqual([{ result: 'done' }])
    expect(link.heard).toEqual([heartbeat])
  })

  test('lets a peer touch only the link with that peer', async () => {
    const link = new Listening()
    const stranger = connect(await listen(routes(link)), kmeC)
    await expect(stranger.send(stamp, [heartbeat])).rejects.toMatchObject({ code: 'PROTOCOL' })
    expect(link.heard).toEqual([])
  })

  test('does not speak to a server whose certificate is of another KME', async () => {
    const link = new Listening()
    const client = connect(await listen(routes(link), kmeC))
    const refused = client.send(stamp, [heartbeat])
    await expect(refused).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' })
    await expect(refused).rejects.toThrow('KME kme-c')
    expect(link.heard).toEqual([])
  })

  test('does not speak to a server whose certificate is from another CA', async () => {
    const other = await (await createTestCa()).issue('kme-b')
    const client = connect(await listen(routes(new Listening()), other))
    await expect(client.hello(helloOf('kme-a'))).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' })
  })

  test.each([
    ['is not JSON', '{', 400],
    ['is of an unknown kind', '{"nonce":"x","stamp":{},"messages":[{"kind":"grant"}]}', 400],
    ['is larger than the limit', `"${'x'.repeat(17 * 1024 * 1024)}"`, 413],
  ])('refuses what %s', async (_, body, status) => {
    expect(await post(await listen(routes(new Listening())), body)).toBe(status)
  })

  test('decompresses nothing', async () => {
    const port = await listen(routes(new Listening()))
    for (const encoding of ['gzip', 'br', 'deflate', 'zstd', 'identity, br']) {
      expect(await post(port, '{}', { 'Content-Encoding': encoding })).toBe(415)
    }
  })

  test('takes no answer that belongs to another request or comes from another KME', async () => {
    const answer =
      (changes: object): RequestListener =>
      (incoming, response) => {
        const chunks: Buffer[] = []
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
        incoming.on('end', () => {
          const { nonce } = JSON.parse(Buffer.concat(chunks).toString()) as { nonce: string }
          const body = { nonce, kmeId: 'kme-b', answers: [{ result: 'done' }], ...changes }
          response.end(JSON.stringify(body))
        })
      }
    for (const changes of [{ nonce: NAME }, { kmeId: 'kme-c' }, { more: 1 }]) {
      const client = connect(await listen(answer(changes)))
      await expect(client.send(stamp, [heartbeat])).rejects.toMatchObject({ code: 'PROTOCOL' })
    }
    expect(await connect(await listen(answer({}))).send(stamp, [heartbeat])).toHaveLength(1)
  })

  test('refuses an answer that is encoded, too large or not JSON', async () => {
    const answers: readonly RequestListener[] = [
      (_, response) => response.writeHead(200, { 'Content-Encoding': 'br' }).end('x'),
      (_, response) => response.end('x'.repeat(5 * 1024 * 1024)),
      (_, response) => response.end('<html>'),
    ]
    for (const answer of answers) {
      const client = connect(await listen(answer))
      await expect(client.send(stamp, [heartbeat])).rejects.toMatchObject({ name: 'KmeError' })
    }
  })

  test('gives up a request that is never answered', async () => {
    const client = connect(await listen(() => undefined), kmeA, 200)
    await expect(client.send(stamp, [heartbeat])).rejects.toMatchObject({
      code: 'PEER_UNAVAILABLE',
    })
  })

  test('tells when the last connection is lost, and connects again by itself', async () => {
    const port = await listen(routes(new Listening()))
    const client = connect(port)
    let lost = 0
    client.onLost(() => (lost += 1))
    await client.send(stamp, [heartbeat])
    servers[0]?.closeAllConnections()
    await eventually(() => lost === 1)
    expect(await client.send(stamp, [heartbeat])).toHaveLength(1)
  })
})
