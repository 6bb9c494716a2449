import { readFileSync, readdirSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Etsi014Server } from '../helpers/etsi014-server.ts'

/**
 * Runs test/vectors/etsi014: requests and the answers that they get, without any code of ours, so
 * that another KME can be held against them. Each file begins with four keys of 256 bits that sae-a
 * drew for sae-b: `$id0` is the ID of the first, `$ID0` the same in upper case, `$key0` its entry in
 * a key container. In an answer `$uuid` is any UUID, `$base64:32` the text of any 32 bytes, `$count`
 * any number from 0 on.
 */
interface Vector {
  readonly name: string
  readonly request: {
    readonly as: string
    readonly method: 'GET' | 'POST' | 'DELETE'
    readonly path: string
    readonly headers?: Readonly<Record<string, string>>
    /** Sent as JSON. */
    readonly body?: unknown
    /** Sent as it is. */
    readonly text?: string
  }
  readonly expected: {
    readonly status: number
    readonly headers?: Readonly<Record<string, string>>
    readonly body: unknown
  }
}

interface Key {
  readonly key_ID: string
  readonly key: string
}

const FOLDER = new URL('../vectors/etsi014/', import.meta.url)
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

const fill = (text: string, keys: readonly Key[]): string =>
  text.replaceAll(/\$(id|ID)(\d)/g, (_, name: string, index: string) => {
    const id = keys[Number(index)]?.key_ID ?? ''
    return name === 'ID' ? id.toUpperCase() : id
  })

const checkText = (expected: string, actual: unknown, keys: readonly Key[]): void => {
  const base64 = /^\$base64:(\d+)$/.exec(expected)
  const key = /^\$key(\d)$/.exec(expected)
  if (key) expect(actual).toEqual(keys[Number(key[1])])
  else if (base64) {
    const bytes = Buffer.from(String(actual), 'base64')
    expect(bytes).toHaveLength(Number(base64[1]))
    expect(actual).toBe(bytes.toString('base64'))
  } else if (expected === '$uuid') expect(actual).toMatch(UUID)
  else if (expected === '$count') expect(actual).toBeGreaterThanOrEqual(0)
  else expect(actual).toBe(expected)
}

const check = (expected: unknown, actual: unknown, keys: readonly Key[]): void => {
  if (typeof expected === 'string') {
    checkText(expected, actual, keys)
  } else if (typeof expected === 'object' && expected !== null) {
    const other = actual as Record<string, unknown>
    expect(Object.keys(other)).toEqual(Object.keys(expected))
    for (const [name, value] of Object.entries(expected)) check(value, other[name], keys)
  } else {
    expect(actual).toBe(expected)
  }
}

const send = async (server: Etsi014Server, { request }: Vector, keys: readonly Key[]) => {
  const agent = await server.as(request.as)
  const path = fill(request.path, keys)
  const methods = {
    GET: () => agent.get(path),
    POST: () => agent.post(path),
    DELETE: () => agent.delete(path),
  }
  const sending = methods[request.method]().set(request.headers ?? {})
  if (request.text !== undefined) return sending.send(request.text)
  if (request.body === undefined) return sending
  return sending.send(JSON.parse(fill(JSON.stringify(request.body), keys)))
}

const files = readdirSync(FOLDER).filter((name) => name.endsWith('.json'))

describe.each(files)('%s', (file) => {
  const vectors = JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as readonly Vector[]
  let server: Etsi014Server
  let keys: readonly Key[]
  beforeAll(async () => {
    server = await Etsi014Server.start()
    const agent = await server.as('sae-a')
    keys = (await agent.get('/api/v1/keys/sae-b/enc_keys?number=4&size=256')).body.keys
  })
  afterAll(() => server[Symbol.asyncDispose]())

  test.each(vectors.map((vector) => [vector.name, vector] as const))('%s', async (_, vector) => {
    const response = await send(server, vector, keys)
    expect(response.status).toBe(vector.expected.status)
    for (const [name, value] of Object.entries(vector.expected.headers ?? {})) {
      expect(response.headers[name]).toBe(value)
    }
    check(vector.expected.body, response.body, keys)
  })
})
