import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Etsi014Server } from '../helpers/etsi014-server.ts'

const ENC = '/api/v1/keys/sae-b/enc_keys'

let server: Etsi014Server
beforeAll(async () => {
  server = await Etsi014Server.start()
  server.world.here.availableBytes = 1_000_000
})
afterAll(() => server[Symbol.asyncDispose]())

const post = async (body: object) => (await server.as('sae-a')).post(ENC).send(body)

/** The JSON text as it is. */
const postText = async (text: string | Buffer) => {
  const body = Buffer.from(text)
  const head = `POST ${ENC} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`
  const [answer] = await server.raw('sae-a', head, body)
  return { status: answer!.status, body: JSON.parse(answer!.body) }
}

describe('6.2 mandatory extensions', () => {
  test('6.2 an unknown one is refused in the words of the standard, each by name', async () => {
    const issued = server.world.issued
    const { status, body } = await post({
      extension_mandatory: [{ abc_route_type: 'direct' }, { max_age_s: 5, x: 1 }, { x: 2 }],
    })
    expect(status).toBe(400)
    expect(body).toEqual({
      message: 'not all extension_mandatory parameters are supported',
      details: [
        { extension_mandatory_unsupported: 'abc_route_type is not supported' },
        { extension_mandatory_unsupported: 'x is not supported' },
      ],
    })
    expect(server.world.issued).toBe(issued)
  })

  test('6.2 max_age_s is met by key that is young enough', async () => {
    server.world.here.ageMs = 30_000
    expect((await post({ extension_mandatory: [{ max_age_s: 30 }] })).status).toBe(200)
    expect(server.world.here.requests.at(-1)?.maxAgeMs).toBe(30_000)
  })

  test('6.2 max_age_s that cannot be met is refused in the words of the standard', async () => {
    const { status, body } = await post({ extension_mandatory: [{ max_age_s: 29 }] })
    expect(status).toBe(400)
    expect(body).toEqual({
      message: 'not all extension_mandatory request options could be met',
    })
  })

  test('6.2 max_age_s given twice has to be met twice', async () => {
    await post({ extension_mandatory: [{ max_age_s: 60 }, { max_age_s: 40 }] })
    expect(server.world.here.requests.at(-1)?.maxAgeMs).toBe(40_000)
  })

  test('6.2 one object instead of an array of one is taken', async () => {
    expect((await post({ extension_mandatory: { max_age_s: 50 } })).status).toBe(200)
    expect(server.world.here.requests.at(-1)?.maxAgeMs).toBe(50_000)
    expect((await post({ extension_mandatory: { abc: 1 } })).status).toBe(400)
  })

  test('6.2 no extension in the member is no extension', async () => {
    expect((await post({ extension_mandatory: [] })).status).toBe(200)
    expect((await post({ extension_mandatory: [{}] })).status).toBe(200)
    expect(server.world.here.requests.at(-1)?.maxAgeMs).toBeNull()
  })

  test.each([0, -1, 1.5, '30', null, true, 2 ** 31, [30]])(
    '6.2 max_age_s of %j is refused',
    async (max_age_s) => {
      const { status, body } = await post({ extension_mandatory: [{ max_age_s }] })
      expect(status).toBe(400)
      expect(body.message).toContain('max_age_s shall be an integer from 1')
    },
  )
})

test('6.2 optional extensions are ignored, known ones too', async () => {
  server.world.here.ageMs = 30_000
  const { status } = await post({
    extension_optional: [{ abc_route_type: 'direct' }, { max_age_s: 1 }],
  })
  expect(status).toBe(200)
  expect(server.world.here.requests.at(-1)?.maxAgeMs).toBeNull()
})

test.each(['extension_mandatory', 'extension_optional'])(
  '6.2 %s that is no array of objects is refused',
  async (member) => {
    for (const value of [null, 'x', 7, true, [null], ['x'], [[]], [{}, 7]]) {
      const { status, body } = await post({ [member]: value })
      expect(status).toBe(400)
      expect(body.message).toContain(member)
    }
  },
)

describe('6.2 the JSON of a request', () => {
  test('6.2 unknown members are ignored', async () => {
    const { status, body } = await postText(
      '{"number":2,"sae_id":"x","__proto__":{"number":3},"constructor":{"prototype":{"size":8}},"Number":5}',
    )
    expect(status).toBe(200)
    expect(body.keys).toHaveLength(2)
    expect({}).not.toHaveProperty('number')
  })

  test('6.2 of a member that comes twice the last one counts', async () => {
    expect((await postText('{"number":"x","number":2}')).body.keys).toHaveLength(2)
  })

  test('6.2 a number may be written as JSON allows', async () => {
    expect((await postText('{"number":2e0,"size":128.0}')).body.keys).toHaveLength(2)
  })

  test.each([
    ['broken', '{"number":1'],
    ['a trailing comma', '{"number":1,}'],
    ['not a number', '{"number":NaN}'],
    ['infinite', '{"number":1e999}'],
    ['an array', '[]'],
    ['a string', '"number"'],
    ['null', 'null'],
    ['blank', '  '],
    ['two objects', '{}{}'],
    ['a byte order mark', '\ufeff{}'],
    ['UTF-16', Buffer.from('{"number":1}', 'utf16le')],
    ['invalid UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
    ['an encoded surrogate', Buffer.from('7b22eda080223a317d', 'hex')],
    ['single quotes', "{'number':1}"],
    ['a comment', '{/* one */"number":1}'],
    ['33 levels deep', `${'{"a":'.repeat(33)}1${'}'.repeat(33)}`],
    ['10,000 levels deep', '['.repeat(10_000)],
    ['of many strings', `{"a":[${'"",'.repeat(1100)}""]}`],
  ])('6.2 a body that is %s is refused', async (_, text) => {
    const issued = server.world.issued
    const { status, body } = await postText(text)
    expect(status).toBe(400)
    expect(typeof body.message).toBe('string')
    expect(server.world.issued).toBe(issued)
  })

  test('6.2 a body of 32 levels is accepted, and brackets in strings are no levels', async () => {
    expect((await postText(`${'{"a":'.repeat(32)}1${'}'.repeat(32)}`)).status).toBe(200)
    expect((await postText(`{"a":"\\"${'['.repeat(100)}"}`)).status).toBe(200)
  })

  test('6.2 an error never repeats what the body held', async () => {
    const canary = 'c4n4ry'
    for (const text of [
      `{"number":"${canary}"}`,
      `{"size":"${canary}`,
      `{"additional_slave_SAE_IDs":["${canary}"]}`,
      `{"extension_mandatory":[{"max_age_s":"${canary}"}]}`,
      canary,
    ]) {
      const { status, body } = await postText(text)
      expect(status).toBe(400)
      expect(JSON.stringify(body)).not.toContain(canary)
    }
  })
})
