import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { KmeError, type KmeErrorCode } from '../../src/errors.ts'
import { Etsi014Server, keysOf } from '../helpers/etsi014-server.ts'

const ENC = '/api/v1/keys/sae-b/enc_keys'

let server: Etsi014Server
beforeAll(async () => {
  server = await Etsi014Server.start()
})
afterAll(() => server[Symbol.asyncDispose]())
beforeEach(() => {
  server.world.here.availableBytes = 32_000
  server.world.here.failure = null
})

const post = async (body: object, path = ENC) => (await server.as('sae-a')).post(path).send(body)
const get = async (query: string) => (await server.as('sae-a')).get(ENC + query)

const bitsOf = (keys: readonly { readonly key: string }[]) =>
  keys.map(({ key }) => Buffer.from(key, 'base64').length * 8)

describe('5.3 what is delivered', () => {
  test('5.3 GET without parameters delivers one key of the default size', async () => {
    const { status, body } = await get('')
    expect(status).toBe(200)
    expect(bitsOf(body.keys)).toEqual([256])
  })

  test('5.3 GET takes number and size', async () => {
    const { body } = await get('?number=3&size=1024')
    expect(bitsOf(body.keys)).toEqual([1024, 1024, 1024])
  })

  test('5.3 POST takes number and size', async () => {
    const { body } = await post({ number: 5, size: 72 })
    expect(bitsOf(body.keys)).toEqual([72, 72, 72, 72, 72])
  })

  test('5.3 the keys are those that the destination issued, byte for byte, of every length', async () => {
    for (const size of [64, 72, 80, 256, 4096]) {
      const handedOut: Buffer[] = []
      const { here } = server.world
      const issue = here.issue.bind(here)
      here.issue = async (request) => {
        const issued = await issue(request)
        handedOut.push(Buffer.from(issued.material))
        return issued
      }
      const { body } = await post({ number: 3, size })
      here.issue = issue
      const got = keysOf(body).map(({ key }) => Buffer.from(key, 'base64'))
      expect(Buffer.concat(got)).toEqual(handedOut[0])
      expect(keysOf(body)[0]?.key).toBe(got[0]?.toString('base64'))
    }
  })

  test('5.3 delivered keys leave the pool', async () => {
    await post({ number: 10 })
    expect(server.world.here.availableBytes).toBe(32_000 - 320)
  })

  test('5.3 the key material is wiped once it is in the answer', async () => {
    await post({ number: 2 })
    expect(server.world.here.handedOut.at(-1)).toEqual(Buffer.alloc(64))
  })

  test('5.3 an empty POST asks for the defaults, whatever type it says it has', async () => {
    const agent = await server.as('sae-a')
    for (const type of [undefined, 'application/json', 'text/plain']) {
      const request =
        type === undefined ? agent.post(ENC) : agent.post(ENC).set('Content-Type', type)
      const { status, body } = await request
      expect(status).toBe(200)
      expect(bitsOf(body.keys)).toEqual([256])
    }
    const { status } = await post({})
    expect(status).toBe(200)
  })

  test('5.3 a POST body of no declared type is taken as JSON', async () => {
    const body = '{"number":2}'
    const head = `POST ${ENC} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`
    const [answer] = await server.raw('sae-a', head + body)
    expect(JSON.parse(answer!.body).keys).toHaveLength(2)
  })
})

describe('5.3 number and size', () => {
  test.each([
    '0',
    '-1',
    '+1',
    '1.0',
    '1e2',
    '0x10',
    ' 1',
    '',
    'one',
    '129',
    '99999999999',
    '%31%00',
  ])('5.3 GET with number=%s is refused', async (number) => {
    const { status, body } = await get(`?number=${number.replace(' ', '%20')}`)
    expect(status).toBe(400)
    expect(body.message).toContain('number')
  })

  test.each([0, -1, 1.5, 129, '2', null, true, [1], {}])(
    '5.3 POST with number %j is refused',
    async (number) => {
      const { status, body } = await post({ number })
      expect(status).toBe(400)
      expect(body.message).toContain('number')
    },
  )

  test.each([0, -8, 8.5, 56, 4104, '256', null, [256]])(
    '5.3 POST with size %j is refused',
    async (size) => {
      const { status, body } = await post({ size })
      expect(status).toBe(400)
      expect(body.message).toContain('size')
    },
  )

  test('5.3 a size that is not a multiple of 8 is refused in the words of the standard', async () => {
    for (const { status, body } of [await post({ size: 257 }), await get('?size=257')]) {
      expect(status).toBe(400)
      expect(body).toEqual({ message: 'size shall be a multiple of 8' })
    }
  })

  test('5.3 a parameter that comes twice is refused', async () => {
    for (const query of [
      '?number=1&number=1',
      '?size=256&number=1&size=256',
      '?number=1&n%75mber=2',
    ]) {
      const { status, body } = await get(query)
      expect(status).toBe(400)
      expect(body.message).toContain('once')
    }
  })

  test('5.3 GET refuses what only POST can carry instead of losing it', async () => {
    for (const name of ['additional_slave_SAE_IDs', 'extension_mandatory', 'extension_optional']) {
      const { status, body } = await get(`?${name}=x`)
      expect(status).toBe(400)
      expect(body.message).toBe(`${name} cannot be given with GET: use POST`)
    }
    expect((await get('?foo=1&foo=2')).status).toBe(200)
  })

  test('5.3 POST refuses number and size in the query string instead of ignoring them', async () => {
    const { status } = await post({}, `${ENC}?number=3`)
    expect(status).toBe(400)
    expect((await post({}, `${ENC}?trace=1`)).status).toBe(200)
  })
})

describe('5.3 slaves', () => {
  test('5.3 every additional slave may fetch the same key once', async () => {
    const { body } = await post({ additional_slave_SAE_IDs: ['sae-c', 'sae-d'] })
    const [{ key_ID, key }] = body.keys
    for (const sae of ['sae-b', 'sae-c', 'sae-d']) {
      const fetch = (await server.as(sae)).get(`/api/v1/keys/sae-a/dec_keys?key_ID=${key_ID}`)
      expect((await fetch).body).toEqual({ keys: [{ key_ID, key }] })
      const again = (await server.as(sae)).get(`/api/v1/keys/sae-a/dec_keys?key_ID=${key_ID}`)
      expect((await again).status).toBe(400)
    }
  })

  test('5.3 local and remote slaves of one delivery go over the link to the remote KME', async () => {
    const { status } = await post({ additional_slave_SAE_IDs: ['sae-r1', 'sae-r2'] })
    expect(status).toBe(200)
    const request = server.world.overB.requests.at(-1)
    expect(request?.localSlaves.map(({ saeId }) => saeId)).toEqual(['sae-b'])
    expect(request?.remoteSlaves.map(({ saeId }) => saeId)).toEqual(['sae-r1', 'sae-r2'])
  })

  test.each([
    ['an empty list', []],
    ['an empty ID', ['']],
    ['a blank ID', ['  ']],
    ['a repeated ID', ['sae-c', 'sae-c']],
    ['the slave of the path', ['sae-b']],
    ['the calling SAE', ['sae-a']],
    ['an unknown SAE', ['sae-nobody']],
    ['too many', ['sae-c', 'sae-d', 'sae-loop', 'sae-r1']],
    ['slaves of two other KMEs', ['sae-r1', 'sae-q']],
    ['no list', 'sae-c'],
    ['a number', [7]],
    ['null', null],
  ])('5.3 additional slaves that are %s are refused', async (_, additional) => {
    const issued = server.world.issued
    const { status, body } = await post({ additional_slave_SAE_IDs: additional })
    expect(status).toBe(400)
    expect(body.message).toContain('additional_slave_SAE_IDs')
    expect(server.world.issued).toBe(issued)
  })

  test('5.3 slaves of this KME are refused where it has no link with itself', async () => {
    server.world.localDestination = null
    expect((await post({})).status).toBe(400)
    server.world.localDestination = server.world.here
  })

  test('5.3 the calling SAE is its own slave only with loopback', async () => {
    const path = '/api/v1/keys/sae-loop/enc_keys'
    const { status, body } = await (await server.as('sae-loop')).post(path)
    expect(status).toBe(200)
    const dec = `/api/v1/keys/sae-loop/dec_keys?key_ID=${body.keys[0].key_ID}`
    expect((await (await server.as('sae-loop')).get(dec)).body).toEqual(body)
    expect((await post({}, '/api/v1/keys/sae-a/enc_keys')).status).toBe(400)
  })
})

describe('5.3 errors on the server side', () => {
  test('5.3 too few keys are a 503 with Retry-After, and nothing is consumed', async () => {
    server.world.here.availableBytes = 95
    const response = await post({ number: 3 })
    expect(response.status).toBe(503)
    expect(response.headers['retry-after']).toBe('3')
    expect(response.body).toEqual({ message: 'there are too few keys now' })
    expect(server.world.here.availableBytes).toBe(95)
    expect((await post({ number: 2 })).body.keys).toHaveLength(2)
  })

  test.each<KmeErrorCode>(['PEER_UNAVAILABLE', 'NOT_READY'])('5.3 %s is a 503', async (code) => {
    server.world.here.failure = new KmeError(code, 'KME kme-b does not answer')
    const { status, body } = await post({})
    expect(status).toBe(503)
    expect(body).toEqual({ message: 'KME kme-b does not answer' })
  })

  test('5.3 what fails inside is a 503 in one fixed sentence, and told to the operator', async () => {
    for (const failure of [
      new KmeError('STORE_FAILED', '/var/lib/x: EIO'),
      new Error('secret 42'),
    ]) {
      server.world.here.failure = failure
      const { status, body } = await post({})
      expect(status).toBe(503)
      expect(body).toEqual({ message: 'the KME cannot serve this request now' })
      const event = server.world.observer.events.at(-1)
      expect(event?.name).toBe('etsi014.request.failed')
      expect(event?.message).toContain(failure.message)
    }
  })
})
