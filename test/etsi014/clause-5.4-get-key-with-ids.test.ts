import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { Etsi014Server, type KeyEntry, keysOf } from '../helpers/etsi014-server.ts'

const DEC = '/api/v1/keys/sae-a/dec_keys'
const NOT_FOUND = { message: 'one or more keys specified are not found on KME' }
const UNKNOWN_ID = '11111111-2222-4333-8444-555555555555'

let server: Etsi014Server
beforeAll(async () => {
  server = await Etsi014Server.start()
})
afterAll(() => server[Symbol.asyncDispose]())
beforeEach(() => {
  server.world.here.availableBytes = 32_000
})

const deliver = async (number: number, body: object = {}): Promise<readonly KeyEntry[]> => {
  const agent = await server.as('sae-a')
  const response = await agent.post('/api/v1/keys/sae-b/enc_keys').send({ number, ...body })
  return keysOf(response.body)
}

const fetch = async (keyIds: readonly string[], sae = 'sae-b', path = DEC) =>
  (await server.as(sae)).post(path).send({ key_IDs: keyIds.map((key_ID) => ({ key_ID })) })

const fetchOne = async (keyId: string, sae = 'sae-b') =>
  (await server.as(sae)).get(`${DEC}?key_ID=${keyId}`)

describe('5.4 with a redelivery window', () => {
  beforeAll(() => {
    const { here } = server.world
    here.limits = { ...here.limits, redeliveryWindowMs: 30_000 }
  })
  afterAll(() => {
    const { here } = server.world
    here.limits = { ...here.limits, redeliveryWindowMs: 0 }
  })

  test('5.4 the very same request gets the very same answer, which says for how long', async () => {
    const keys = await deliver(3)
    const ids = keys.map(({ key_ID }) => key_ID)
    const first = await fetch(ids)
    expect(first.body).toEqual({ keys, key_container_extension: { redelivery_window_s: 30 } })
    const again = await fetch(ids)
    expect([again.status, again.text]).toEqual([200, first.text])
    expect((await fetch(ids.toReversed())).body).toEqual(NOT_FOUND)
    expect((await fetch(ids.slice(1))).body).toEqual(NOT_FOUND)
  })

  test('5.4 a client of ours takes the answer with its extension', async () => {
    const keys = await deliver(2)
    const client = await server.client('sae-b')
    const ids = keys.map(({ key_ID }) => key_ID)
    for (let round = 0; round < 2; round += 1) {
      const fetched = await client.getKeysWithIds('sae-a', ids)
      expect(fetched.map(({ key }) => key.toString('base64'))).toEqual(keys.map(({ key }) => key))
    }
  })
})

describe('5.4 what is returned', () => {
  test('5.4 GET fetches one key', async () => {
    const keys = await deliver(1)
    const { status, body } = await fetchOne(keys[0]!.key_ID)
    expect(status).toBe(200)
    expect(body).toEqual({ keys })
  })

  test('5.4 POST fetches keys in the order asked', async () => {
    const keys = (await deliver(5)).toReversed()
    const { body } = await fetch(keys.map(({ key_ID }) => key_ID))
    expect(body).toEqual({ keys })
  })

  test('5.4 keys of several deliveries may be fetched together', async () => {
    const keys = [...(await deliver(2)), ...(await deliver(1, { size: 512 }))]
    expect((await fetch(keys.map(({ key_ID }) => key_ID))).body).toEqual({ keys })
  })

  test('5.4 a key is fetched once', async () => {
    const [key] = await deliver(1)
    expect((await fetchOne(key!.key_ID)).status).toBe(200)
    for (const again of [await fetchOne(key!.key_ID), await fetch([key!.key_ID])]) {
      expect(again.status).toBe(400)
      expect(again.body).toEqual(NOT_FOUND)
    }
  })

  test('5.4 keys that every entitled SAE has fetched have left the store', async () => {
    const before = server.world.store.openEntitlements
    const keys = await deliver(4)
    expect(server.world.store.openEntitlements).toBe(before + 4)
    await fetch(keys.map(({ key_ID }) => key_ID))
    expect(server.world.store.openEntitlements).toBe(before)
  })

  test('5.4 a key ID in upper case matches', async () => {
    const [key] = await deliver(1)
    expect((await fetchOne(key!.key_ID.toUpperCase())).body).toEqual({ keys: [key] })
  })
})

describe('5.4 who may fetch', () => {
  test('5.4 an SAE that was not named gets 401, and the key stays for the one that was', async () => {
    const [key] = await deliver(1)
    const refused = await fetchOne(key!.key_ID, 'sae-c')
    expect(refused.status).toBe(401)
    expect(typeof refused.body.message).toBe('string')
    expect((await fetchOne(key!.key_ID)).status).toBe(200)
  })

  test('5.4 the master cannot fetch its own keys again', async () => {
    const [key] = await deliver(1)
    expect((await fetchOne(key!.key_ID, 'sae-a')).status).toBe(401)
  })

  test('5.4 one key of others refuses the whole list', async () => {
    const [mine] = await deliver(1, { additional_slave_SAE_IDs: ['sae-c'] })
    const [other] = await deliver(1)
    expect((await fetch([mine!.key_ID, other!.key_ID], 'sae-c')).status).toBe(401)
    expect((await fetch([mine!.key_ID], 'sae-c')).status).toBe(200)
  })

  test('5.4 401 goes before 400 where a list deserves both', async () => {
    const [other] = await deliver(1)
    expect((await fetch([UNKNOWN_ID, other!.key_ID], 'sae-c')).status).toBe(401)
  })
})

describe('5.4 all or nothing', () => {
  test('5.4 one unknown key refuses the whole list and consumes nothing', async () => {
    const keys = await deliver(2)
    const ids = keys.map(({ key_ID }) => key_ID)
    const refused = await fetch([...ids, UNKNOWN_ID])
    expect(refused.status).toBe(400)
    expect(refused.body).toEqual(NOT_FOUND)
    expect((await fetch(ids)).body).toEqual({ keys })
  })

  test('5.4 one key fetched before refuses the whole list', async () => {
    const keys = await deliver(2)
    await fetch([keys[0]!.key_ID])
    expect((await fetch(keys.map(({ key_ID }) => key_ID))).body).toEqual(NOT_FOUND)
    expect((await fetch([keys[1]!.key_ID])).status).toBe(200)
  })

  test('5.4 a key is not found under another master than its own', async () => {
    const [key] = await deliver(1)
    for (const master of ['sae-c', 'sae-r1', 'sae-nobody']) {
      const refused = await fetch([key!.key_ID], 'sae-b', `/api/v1/keys/${master}/dec_keys`)
      expect(refused.body).toEqual(NOT_FOUND)
    }
    expect((await fetch([key!.key_ID])).status).toBe(200)
  })

  test('5.4 an expired key is not found', async () => {
    const [key] = await deliver(1)
    server.world.runningMs += 60_000
    expect((await fetchOne(key!.key_ID)).body).toEqual(NOT_FOUND)
  })
})

describe('5.4 bad requests', () => {
  test('5.4 an empty list, a repeated key and too many keys are refused', async () => {
    const [key] = await deliver(1)
    const { key_ID } = key!
    const many = Array.from({ length: 129 }, (_, i) => UNKNOWN_ID.slice(0, -3) + String(i + 100))
    for (const list of [[], [key_ID, key_ID], [key_ID, key_ID.toUpperCase()], many]) {
      const { status, body } = await fetch(list)
      expect(status).toBe(400)
      expect(body.message).toContain('key_IDs')
    }
    expect((await fetchOne(key_ID)).status).toBe(200)
  })

  test.each(['', 'x', `${UNKNOWN_ID}0`, `{${UNKNOWN_ID}}`, UNKNOWN_ID.replaceAll('-', '')])(
    '5.4 the key ID %j is no UUID',
    async (keyId) => {
      for (const { status, body } of [await fetchOne(keyId), await fetch([keyId])]) {
        expect(status).toBe(400)
        expect(body).toEqual({ message: 'key_ID shall be a UUID' })
      }
    },
  )

  test('5.4 GET needs one key ID', async () => {
    const agent = await server.as('sae-b')
    expect((await agent.get(DEC)).status).toBe(400)
    const twice = await agent.get(`${DEC}?key_ID=${UNKNOWN_ID}&key_ID=${UNKNOWN_ID}`)
    expect(twice.body.message).toContain('once')
  })

  test.each([
    ['no list', {}],
    ['no array', { key_IDs: UNKNOWN_ID }],
    ['strings instead of objects', { key_IDs: [UNKNOWN_ID] }],
    ['no ID', { key_IDs: [{}] }],
    ['a number as ID', { key_IDs: [{ key_ID: 7 }] }],
    ['null', { key_IDs: [null] }],
  ])('5.4 POST with %s is refused', async (_, body) => {
    const response = await (await server.as('sae-b')).post(DEC).send(body)
    expect(response.status).toBe(400)
    expect(response.body.message).toContain('key_IDs')
  })

  test('5.4 an empty POST names no key', async () => {
    expect((await (await server.as('sae-b')).post(DEC)).status).toBe(400)
  })
})
