import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type Server, createServer } from 'node:net'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:tls'
import { patiently } from '../helpers/patiently.ts'
import { KmeProcess } from '../helpers/kme-process.ts'
import { type KmePair, startKmePair, withKmePair } from '../helpers/kme-pair.ts'
import { HOST, freePorts } from '../helpers/kme-lab.ts'
import type { KmeSite } from '../helpers/kme-site.ts'

const LONG_MS = 120_000
const FAST = { secretKeyRateBps: 1_000_000, blockBytes: 4096 }

/** Runs `serve` with this configuration, which cannot work, to its end. */
const refusedServe = async (configFile: string) => {
  const process = KmeProcess.serve(configFile)
  const { code } = await process.ended
  return { code, said: process.err.filter((line) => !line.startsWith('{')) }
}

describe('a KME that is started where it cannot run', () => {
  let pair: KmePair
  beforeAll(async () => {
    pair = await startKmePair({ waitForKeys: false })
  }, LONG_MS)
  afterAll(() => pair.stop(), LONG_MS)

  const variant = async (name: string, change: (text: string) => string): Promise<string> => {
    const file = pair.lab.path(name)
    await writeFile(file, change(await readFile(pair.a.configFile, 'utf8')))
    return file
  }

  /** The same KME on other ports. */
  const elsewhere = async (text: string): Promise<string> => {
    const { sae, peer, admin } = pair.a.ports
    const [first = 0, second = 0, third = 0] = await freePorts(3)
    return text
      .replaceAll(String(sae), String(first))
      .replaceAll(String(peer), String(second))
      .replaceAll(String(admin), String(third))
  }

  test('a second serve on the same store is refused with one line', async () => {
    const moved = await elsewhere(await readFile(pair.a.configFile, 'utf8'))
    const { code, said } = await refusedServe(await variant('second.yaml', () => moved))
    expect(code).toBe(1)
    expect(said).toHaveLength(1)
    expect(said[0]).toMatch(/^keyspring: .*keyspring\.db.*(another process|in use|open)/)
  })

  test('a port that is taken is one line that names listener and option', async () => {
    const taken: Server = createServer().listen({ host: HOST, port: 0 })
    await once(taken, 'listening')
    const address = taken.address()
    const port = typeof address === 'object' && address ? address.port : 0
    try {
      const moved = (await elsewhere(await readFile(pair.a.configFile, 'utf8')))
        .replace(/port: \d+/, `port: ${port}`)
        .replace(/type: sqlite\n.*\n.*\n/, 'type: memory\n')
      const { code, said } = await refusedServe(await variant('taken.yaml', () => moved))
      expect(code).toBe(1)
      expect(said).toEqual([
        `keyspring: the sae listener cannot listen on ${HOST}:${port}: the port is taken: stop the process that listens there, or choose another port (options listeners.sae: host and port)`,
      ])
    } finally {
      taken.close()
    }
  })

  test('a store that was not made is one line that says how to make it', async () => {
    const file = await variant('unmade.yaml', (text) =>
      text
        .replaceAll('kme-a/keyspring.db', 'nowhere/keyspring.db')
        .replaceAll('kme-a/kek.key', 'nowhere/kek.key'),
    )
    const { code, said } = await refusedServe(file)
    expect(code).not.toBe(0)
    expect(said).toHaveLength(1)
    expect(said[0]).toMatch(/^keyspring: .*nowhere.*store init/)
  })
})

describe('a KME that is told to end', () => {
  /** A request whose body stops in the middle, until `finish` sends the rest. */
  const halfRequest = async (pair: KmePair) => {
    const { cert, key, ca } = await pair.lab.certificate('sae', 'sae-a')
    const socket = connect({ host: HOST, port: pair.a.ports.sae, cert, key, ca })
    await once(socket, 'secureConnect')
    let answer = ''
    socket.setEncoding('utf8').on('data', (text: string) => (answer += text))
    const body = JSON.stringify({ number: 2, size: 128 })
    socket.write(
      `POST /api/v1/keys/sae-b/enc_keys HTTP/1.1\r\nHost: ${HOST}:${pair.a.ports.sae}\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 5)}`,
    )
    return async (): Promise<string> => {
      socket.write(body.slice(5))
      await once(socket, 'close')
      return answer
    }
  }

  const refusesConnections = (port: number): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect({ host: HOST, port, rejectUnauthorized: false })
      socket.once('error', (error) => {
        resolve('code' in error && error.code === 'ECONNREFUSED')
      })
      socket.once('connect', () => {
        socket.destroy()
        resolve(false)
      })
    })

  test(
    'SIGTERM lets a request under way be answered, takes no new ones, and ends with code 0',
    () =>
      withKmePair({ simulator: FAST }, async (pair) => {
        const finish = await halfRequest(pair)
        // The KME has the first half when a later request of the same process is answered.
        await pair.a.admin.ready()
        const end = pair.a.end('SIGTERM')
        await patiently(() => refusesConnections(pair.a.ports.sae), 'the end of listening')
        const answer = await finish()
        expect(answer).toMatch(/^HTTP\/1\.1 200 /)
        const { keys } = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)) as {
          keys: { key_ID: string; key: string }[]
        }
        expect(await end).toEqual({ code: 0, signal: null })

        const fetched = await (
          await pair.b.sae('sae-b')
        ).getKeysWithIds(
          'sae-a',
          keys.map(({ key_ID }) => key_ID),
        )
        expect(fetched.map(({ key }) => key.toString('base64'))).toEqual(keys.map(({ key }) => key))
      }),
    LONG_MS,
  )
})

describe('a KME whose peer is gone', () => {
  const code = (call: Promise<unknown>): Promise<string> =>
    call.then(
      () => 'answered',
      (error: unknown) =>
        error instanceof Error && 'code' in error ? String(error.code) : 'error',
    )

  const draw = async (site: KmeSite, masterId: string, slaveId: string) =>
    (await site.sae(masterId)).getKey(slaveId, { number: 3 })

  test(
    'it answers 503 to Get key, still gives out what it holds, and goes on when the peer is back',
    () =>
      withKmePair({ simulator: FAST }, async (pair) => {
        const drawn = await draw(pair.b, 'sae-b', 'sae-a')
        await pair.b.end('SIGKILL')
        expect(await code(draw(pair.a, 'sae-a', 'sae-b'))).toBe('NOT_READY')

        const fetched = await (
          await pair.a.sae('sae-a')
        ).getKeysWithIds(
          'sae-b',
          drawn.map(({ key_ID }) => key_ID),
        )
        expect(fetched.map(({ key }) => key)).toEqual(drawn.map(({ key }) => key))
        await patiently(async () => {
          const { ready, reasons } = await pair.a.admin.ready()
          return !ready && reasons.some(({ message }) => message.includes('KME kme-b cannot be'))
        }, 'a reason that names the peer')

        await pair.b.start()
        await pair.a.ready()
        expect(await draw(pair.a, 'sae-a', 'sae-b')).toHaveLength(3)
      }),
    LONG_MS,
  )

  test(
    'a KME that shows the certificate of another KME is refused, whoever calls whom',
    () =>
      withKmePair(
        {
          waitForKeys: false,
          adapt: (spec) => (spec.kmeId === 'kme-b' ? { ...spec, certificateOf: 'kme-c' } : spec),
        },
        async ({ a, b }) => {
          const saysAt = (site: KmeSite, text: string) =>
            patiently(async () => {
              const { state, reason } = await site.link()
              return state === 'down' && reason?.includes(text)
            }, `"${text}" as a reason at ${site.kmeId}`)
          // A calls B: the server is not who it should be. B calls A: nor is the client.
          await saysAt(a, 'its certificate is of no KME')
          await saysAt(b, 'the certificate names no peer KME')
          expect((await a.link()).epoch).toBeNull()
          expect((await b.link()).epoch).toBeNull()
        },
      ),
    LONG_MS,
  )
})
