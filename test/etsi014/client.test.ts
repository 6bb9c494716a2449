import { type Server, createServer } from 'node:https'
import type { RequestListener } from 'node:http'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Etsi014Client } from '../../src/etsi014/client.ts'
import type { KmeErrorCode } from '../../src/errors.ts'
import { Etsi014Server } from '../helpers/etsi014-server.ts'
import { ODD_SAE_ID } from '../helpers/key-delivery-world.ts'
import { type TestCa, type TestCertificate, createTestCa } from '../helpers/test-ca.ts'

const UUID = '11111111-2222-4333-8444-555555555555'
const OTHER_UUID = 'aaaaaaaa-2222-4333-8444-555555555555'

describe('towards this KME', () => {
  let server: Etsi014Server
  beforeAll(async () => {
    server = await Etsi014Server.start()
  })
  afterAll(() => server[Symbol.asyncDispose]())

  test('draws and fetches the same keys, as bytes', async () => {
    using master = await server.client('sae-a')
    using slave = await server.client('sae-b')
    const drawn = await master.getKey('sae-b', { number: 3, size: 512 })
    expect(drawn.map(({ key }) => key.length)).toEqual([64, 64, 64])
    const ids = drawn.map(({ key_ID }) => key_ID).toReversed()
    const fetched = await slave.getKeysWithIds('sae-a', ids)
    expect(fetched).toEqual(drawn.toReversed())
    await expect(slave.getKeysWithIds('sae-a', ids)).rejects.toMatchObject({
      code: 'KEY_NOT_FOUND',
    })
  })

  test('reads status, and speaks to an SAE whose ID has to be escaped', async () => {
    using master = await server.client('sae-a')
    expect(await master.status('sae-r1')).toMatchObject({ target_KME_ID: 'kme-b', key_size: 256 })
    expect((await master.status(ODD_SAE_ID)).slave_SAE_ID).toBe(ODD_SAE_ID)
    await expect(master.status('..')).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  })

  test('gives refusals the codes of what they mean', async () => {
    using master = await server.client('sae-a')
    using stranger = await server.client('stranger')
    const old = { extension_mandatory: [{ max_age_s: 1 }] }
    const cases: readonly (readonly [Promise<unknown>, KmeErrorCode])[] = [
      [master.getKey('sae-nobody'), 'BAD_REQUEST'],
      [master.getKey('sae-late'), 'NOT_READY'],
      [master.getKey('sae-b', old), 'OPTIONS_NOT_MET'],
      [stranger.status('sae-b'), 'UNAUTHORIZED'],
    ]
    for (const [call, code] of cases) await expect(call).rejects.toMatchObject({ code })
  })

  test('does not speak to a server of another CA', async () => {
    const { cert, key } = await server.certificate('sae-a')
    const { ca } = await createTestCa()
    using client = new Etsi014Client({ url: server.url, ca, cert, key })
    await expect(client.status('sae-b')).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' })
  })
})

describe('towards a KME of any other maker', () => {
  let ca: TestCa
  let server: Server
  let certificate: TestCertificate
  let answer: RequestListener = () => {}

  beforeAll(async () => {
    ca = await createTestCa()
    certificate = await ca.issue('sae-a')
    server = createServer(await ca.issue('kme-x'), (request, response) => {
      answer(request, response)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
  })
  afterAll(() => {
    server.close()
    server.closeAllConnections()
  })

  const clientOf = (timeoutMs = 5000): Etsi014Client => {
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : 0
    return new Etsi014Client({ url: `https://127.0.0.1:${port ?? 0}/`, timeoutMs, ...certificate })
  }

  const answerWith = (text: string, status = 200, headers: Record<string, string> = {}): void => {
    answer = (_request, response) => {
      response.writeHead(status, headers).end(text)
    }
  }

  const call = async (request: { number?: number; size?: number } = {}) => {
    using client = clientOf()
    return await client.getKey('sae-b', request)
  }

  test('reads a container whose JSON is written in another way', async () => {
    answerWith(
      ` {"key_container_extension" : {"x":"\\"key\\":"}, "keys" :[ { "key" : "+\\/8=" , "key_ID": "${OTHER_UUID.toUpperCase()}", "key_extension":{}}]}`,
    )
    expect(await call({ size: 16 })).toEqual([
      { key_ID: OTHER_UUID, key: Buffer.from('fbff', 'hex') },
    ])
  })

  const entry = (key: string, id = UUID) => `{"key_ID":"${id}","key":${key}}`
  test.each([
    ['no JSON', '<html>'],
    ['no object', '[]'],
    ['no keys', '{}'],
    ['a key that is not base64', `{"keys":[${entry('"AA*="')}]}`],
    ['a key without its padding', `{"keys":[${entry('"AAE"')}]}`],
    ['a key with bits left over', `{"keys":[${entry('"AAF="')}]}`],
    ['an empty key', `{"keys":[${entry('""')}]}`],
    ['a number as key', `{"keys":[${entry('0')}]}`],
    ['an escaped member name', `{"keys":[{"key_ID":"${UUID}","\\u006bey":"AAAA"}]}`],
    ['no key ID', '{"keys":[{"key":"AAAA"}]}'],
    ['a key ID that is no UUID', `{"keys":[${entry('"AAAA"', '7')}]}`],
    ['more keys than asked for', `{"keys":[${entry('"AAAA"')},${entry('"AAAB"', OTHER_UUID)}]}`],
    ['no key at all', '{"keys":[]}'],
    ['a key twice in an entry', `{"keys":[{"key_ID":"${UUID}","key":"AAAA","key":"AAAB"}]}`],
    ['a cut answer', '{"keys":[{"key_ID":"x","key":"AAAA'],
  ])('refuses an answer with %s', async (_, text) => {
    answerWith(text)
    await expect(call()).rejects.toMatchObject({ code: 'PROTOCOL' })
  })

  test('refuses keys of another size, or fewer, than it asked for, and IDs that come twice', async () => {
    answerWith(`{"keys":[${entry('"AAAA"')}]}`)
    await expect(call({ size: 32 })).rejects.toMatchObject({ code: 'PROTOCOL' })
    await expect(call({ number: 2 })).rejects.toMatchObject({ code: 'PROTOCOL' })
    answerWith(`{"keys":[${entry('"AAAA"')},${entry('"AAAB"')}]}`)
    await expect(call({ number: 2 })).rejects.toMatchObject({ code: 'PROTOCOL' })
  })

  test('refuses an answer that is encoded, and never decodes it', async () => {
    answerWith('x', 200, { 'Content-Encoding': 'br' })
    await expect(call()).rejects.toMatchObject({ code: 'PROTOCOL' })
  })

  test('puts fetched keys into the order asked, and refuses others', async () => {
    using client = clientOf()
    answerWith(`{"keys":[${entry('"AAAA"')},${entry('"AAAB"', OTHER_UUID)}]}`)
    const keys = await client.getKeysWithIds('sae-a', [OTHER_UUID.toUpperCase(), UUID])
    expect(keys.map(({ key_ID }) => key_ID)).toEqual([OTHER_UUID, UUID])
    await expect(client.getKeysWithIds('sae-a', [UUID])).rejects.toMatchObject({ code: 'PROTOCOL' })
  })

  test('refuses a status that contradicts itself', async () => {
    const names = ['source_KME_ID', 'target_KME_ID', 'master_SAE_ID', 'slave_SAE_ID']
    const good = {
      ...Object.fromEntries(names.map((name) => [name, 'x'])),
      key_size: 256,
      stored_key_count: 5,
      max_key_count: 10,
      max_key_per_request: 1,
      max_key_size: 256,
      min_key_size: 256,
      max_SAE_ID_count: 0,
    }
    using client = clientOf()
    answerWith(JSON.stringify(good))
    expect(await client.status('sae-b')).toEqual(good)
    for (const wrong of [
      { key_size: 264 },
      { min_key_size: 264 },
      { stored_key_count: 11 },
      { max_key_count: 2 ** 31 },
      { max_key_per_request: '1' },
      { max_SAE_ID_count: -1 },
      { source_KME_ID: undefined },
    ]) {
      answerWith(JSON.stringify({ ...good, ...wrong }))
      await expect(client.status('sae-b')).rejects.toMatchObject({ code: 'PROTOCOL' })
    }
  })

  test('takes errors of other makers for what their status says', async () => {
    const cases: readonly (readonly [number, string, KmeErrorCode])[] = [
      [400, '{"message":"One or more keys specified are not found on KME "}', 'KEY_NOT_FOUND'],
      [403, '{"message":"expired"}', 'BAD_REQUEST'],
      [404, '', 'BAD_REQUEST'],
      [500, '<html>', 'PROTOCOL'],
      [503, '{"message":7}', 'NOT_READY'],
      [302, '', 'PROTOCOL'],
    ]
    for (const [status, text, code] of cases) {
      answerWith(text, status)
      await expect(call()).rejects.toMatchObject({ code })
    }
  })

  test('shows no control characters of an error to a terminal', async () => {
    answerWith('{"message":"a\\u001b[31mb\\nc"}', 400)
    await expect(call()).rejects.toThrow('the KME answered 400: a [31mb c')
  })

  test('gives up on a KME that does not answer, and on one that stops in the middle', async () => {
    using client = clientOf(100)
    answer = () => {}
    await expect(client.status('sae-b')).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' })
    answer = (_request, response) => {
      response.writeHead(200, { 'Content-Length': '100' }).write('{"keys":')
      setImmediate(() => response.destroy())
    }
    await expect(call()).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' })
  })
})

test('a URL that is not https is a mistake', () => {
  for (const url of ['http://127.0.0.1', 'kme-a:8443', '']) {
    expect(() => new Etsi014Client({ url, cert: '', key: '', ca: '' })).toThrow('https://')
  }
})
