import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { Etsi014Server, type KeyEntry, keysOf } from '../helpers/etsi014-server.ts'

const DEC = '/api/v1/keys/sae-a/dec_keys'

let server: Etsi014Server
beforeAll(async () => {
  server = await Etsi014Server.start()
})
afterAll(() => server[Symbol.asyncDispose]())

const deliver = async (number: number): Promise<readonly KeyEntry[]> => {
  const agent = await server.as('sae-a')
  const response = await agent.get(`/api/v1/keys/sae-b/enc_keys?number=${number}`)
  return keysOf(response.body)
}

test('6.4 extensions of the list and of its entries are ignored, whatever they are', async () => {
  const keys = await deliver(2)
  const { body } = await (await server.as('sae-b')).post(DEC).send({
    key_IDs: [
      { key_ID: keys[0]!.key_ID, key_ID_extension: { abc: 1 } },
      { key_ID: keys[1]!.key_ID, key_ID_extension: 'x' },
    ],
    key_IDs_extension: { abc: 2 },
  })
  expect(body).toEqual({ keys })
})

test('6.4 a list as long as max_key_per_request fits into one request', async () => {
  const keys = await deliver(128)
  const { body } = await (
    await server.as('sae-b')
  )
    .post(DEC)
    .send({ key_IDs: keys.map(({ key_ID }) => ({ key_ID })) })
  expect(body).toEqual({ keys })
})
