import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { type Server, createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { Certificates, type ClientTls } from '../../bench/certificates.ts'
import { Connections } from '../../bench/connections.ts'
import { getKeyRequest } from '../../bench/operations.ts'

const REQUESTS = 5

describe('connections of the load generator', () => {
  let folder: string
  let server: Server
  let tls: ClientTls
  let port: number
  let status: number
  let resumed: boolean[]

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'keyspring bench '))
    const certificates = await Certificates.make(join(folder, 'pki'))
    const { certFile, keyFile } = await certificates.issue('kme', 'kme-a')
    tls = await certificates.issueClient('sae', 'sae-a')
    server = createServer(
      {
        cert: await readFile(certFile),
        key: await readFile(keyFile),
        ca: await readFile(certificates.caFile('sae')),
        requestCert: true,
      },
      (request, response) => {
        request.resume()
        response.writeHead(status).end('{}')
      },
    )
    server.on('secureConnection', (socket: TLSSocket) => resumed.push(socket.isSessionReused()))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as AddressInfo).port
  })

  beforeEach(() => {
    status = 200
    resumed = []
  })

  afterAll(async () => {
    server.closeAllConnections()
    server.close()
    await rm(folder, { recursive: true })
  })

  const askOften = async (connections: Connections): Promise<void> => {
    for (let i = 0; i < REQUESTS; i += 1) await connections.exchange(getKeyRequest('sae-b'))
  }

  test('that are kept begin with one handshake', async () => {
    using connections = new Connections(1, port, tls)
    await askOften(connections)
    expect(resumed).toEqual([false])
  })

  test('that are fresh begin with a full handshake for each request', async () => {
    using connections = new Connections(1, port, tls, 'fresh')
    await askOften(connections)
    expect(resumed).toEqual(Array.from({ length: REQUESTS }, () => false))
  })

  test('tell the status of an answer that is not good', async () => {
    status = 503
    using connections = new Connections(1, port, tls)
    await expect(connections.exchange(getKeyRequest('sae-b'))).rejects.toThrow('status 503: {}')
  })
})
