import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { Etsi014Server } from '../helpers/etsi014-server.ts'
import { ODD_SAE_ID } from '../helpers/key-delivery-world.ts'

let server: Etsi014Server
beforeAll(async () => {
  server = await Etsi014Server.start()
})
afterAll(() => server[Symbol.asyncDispose]())

const statusOf = async (slaveInPath: string, caller = 'sae-a') =>
  (await server.as(caller)).get(`/api/v1/keys/${slaveInPath}/status`)

test('5.2 status of a slave at this KME names this KME twice', async () => {
  const { status, body } = await statusOf('sae-b')
  expect(status).toBe(200)
  expect([body.source_KME_ID, body.target_KME_ID]).toEqual(['kme-a', 'kme-a'])
})

test('5.2 status of a slave at a peer KME names that KME and counts what its link can deliver', async () => {
  server.world.overB.availableBytes = 320
  const { body } = await statusOf('sae-r1')
  expect([body.source_KME_ID, body.target_KME_ID]).toEqual(['kme-a', 'kme-b'])
  expect(body.stored_key_count).toBe(10)
  server.world.overB.availableBytes = 0
  expect((await statusOf('sae-r1')).body.stored_key_count).toBe(0)
})

test('5.2 what status promises is what Get key gives', async () => {
  server.world.overB.availableBytes = 96
  const agent = await server.as('sae-a')
  const { body } = await agent.get('/api/v1/keys/sae-r1/status')
  const all = `/api/v1/keys/sae-r1/enc_keys?number=${body.stored_key_count}`
  expect((await agent.get(all)).body.keys).toHaveLength(3)
  expect((await agent.get('/api/v1/keys/sae-r1/status')).body.stored_key_count).toBe(0)
})

test('5.2 an unknown slave is a bad request', async () => {
  const { status, body } = await statusOf('sae-nobody')
  expect(status).toBe(400)
  expect(body).toEqual({
    message: 'slave_SAE_ID in the path is not registered at this KME or a peer of it',
  })
})

test('5.2 a slave that nobody can locate yet is an error on the server side', async () => {
  expect((await statusOf('sae-late')).status).toBe(503)
  expect((await statusOf('sae-twice')).status).toBe(503)
})

test('5.2 the calling SAE as slave is a bad request unless it is registered with loopback', async () => {
  expect((await statusOf('sae-a')).status).toBe(400)
  expect((await statusOf('sae-loop', 'sae-loop')).status).toBe(200)
})

test('5.2 the SAE ID in the path is percent-decoded once', async () => {
  const { body } = await statusOf(encodeURIComponent(ODD_SAE_ID))
  expect(body.slave_SAE_ID).toBe(ODD_SAE_ID)
  const twice = encodeURIComponent(encodeURIComponent(ODD_SAE_ID))
  expect((await statusOf(twice)).status).toBe(400)
})

test('5.2 an SAE ID is compared exactly', async () => {
  for (const id of ['SAE-B', 'sae-b%20', '%20sae-b', 'sae%2Db%00', 'sae-b%2F', 'sae%ef%bc%8db']) {
    expect((await statusOf(id)).status).toBe(400)
  }
  expect((await statusOf('sae%2Db')).status).toBe(200)
})

test.each(['%', '%4', '%zz', '%ff', '%c0%af', '%ed%a0%80'])(
  '5.2 %s in the path is malformed',
  async (id) => {
    const { status, body } = await statusOf(id)
    expect(status).toBe(400)
    expect(body.message).toBe('the SAE ID in the path is not valid percent-encoding')
  },
)

test('5.2 an SAE ID has at most 291 characters, however many bytes they are', async () => {
  const astral = encodeURIComponent('\u{1f511}'.repeat(291))
  expect((await statusOf(astral)).body.message).toContain('not registered')
  expect((await statusOf('x'.repeat(291))).body.message).toContain('not registered')
  expect((await statusOf('x'.repeat(292))).body.message).toContain('longer than 291')
})

test('5.2 a Content-Type or a body on GET means nothing', async () => {
  const agent = await server.as('sae-a')
  const plain = agent.get('/api/v1/keys/sae-b/status').set('Content-Type', 'application/json')
  expect((await plain).status).toBe(200)
  const withBody = agent.get('/api/v1/keys/sae-b/status').set('Content-Type', 'text/plain')
  expect((await withBody.send('ignored')).status).toBe(200)
  expect((await agent.get('/api/v1/keys/sae-b/status')).status).toBe(200)
})
