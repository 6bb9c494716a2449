import { type Server, type ServerResponse, createServer } from 'node:http'
import { once } from 'node:events'
import { type Socket, connect } from 'node:net'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { sendKeys } from '../../src/etsi014/respond.ts'

const REQUEST = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'

let server: Server
let client: Socket
let received: string
/** Responses as the server got to know them. */
let responses: ServerResponse[]

beforeEach(async () => {
  responses = []
  received = ''
  server = createServer((_request, response) => {
    responses.push(response)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  client = connect(port, '127.0.0.1')
  client.setEncoding('latin1')
  client.on('data', (text: string) => {
    received += text
  })
})
afterEach(() => {
  client.destroy()
  server.closeAllConnections()
  server.close()
})

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1))
}

const keys = (): Buffer => Buffer.alloc(100_000, 'k')
const isWiped = (body: Buffer): boolean => body.every((byte) => byte === 0)

test('the client gets the whole answer, and then its bytes are wiped', async () => {
  client.write(REQUEST)
  await until(() => responses.length === 1)
  const body = keys()
  sendKeys(responses[0]!, body)
  await until(() => isWiped(body))
  await until(() => received.endsWith('k'.repeat(100_000)))
})

test('an answer for a client that has gone is wiped at once', async () => {
  client.write(REQUEST)
  await until(() => responses.length === 1)
  client.destroy()
  await until(() => responses[0]!.destroyed)
  const body = keys()
  sendKeys(responses[0]!, body)
  expect(isWiped(body)).toBe(true)
})

test('an answer that the client does not take is wiped when the connection ends', async () => {
  client.pause()
  client.write(REQUEST)
  await until(() => responses.length === 1)
  const body = Buffer.alloc(20_000_000, 'k')
  sendKeys(responses[0]!, body)
  await new Promise((resolve) => setImmediate(resolve))
  expect(isWiped(body)).toBe(false)
  client.destroy()
  await until(() => isWiped(body))
})

test('an answer behind others of a connection that has gone is wiped at once', async () => {
  client.write(REQUEST + REQUEST)
  await until(() => responses.length === 2)
  client.destroy()
  await until(() => responses[0]!.destroyed)
  const body = keys()
  sendKeys(responses[1]!, body)
  expect(isWiped(body)).toBe(true)
})
