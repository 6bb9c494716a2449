import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Agent, request } from 'node:https'
import type { Etsi014Client } from '../../src/etsi014/client.ts'
import type { KeyMessage, KeyRequestMessage } from '../../src/etsi014/messages.ts'
import { KmeError } from '../../src/errors.ts'
import { patiently } from '../helpers/patiently.ts'
import { type KmePair, startKmePair } from '../helpers/kme-pair.ts'
import type { LabCertificate } from '../helpers/kme-lab.ts'
import { type TestCertificate, createTestCa } from '../helpers/test-ca.ts'

const LONG_MS = 120_000
const FAST = { secretKeyRateBps: 1_000_000, blockBytes: 4096 }

let pair: KmePair
beforeAll(async () => {
  pair = await startKmePair({
    saesA: [{ id: 'sae-a1', loopback: true }, 'sae-a2', 'sae-a3'],
    saesB: ['sae-b1', 'sae-b2'],
    simulator: FAST,
    adapt: (spec) =>
      spec.kmeId === 'kme-a' ? { ...spec, links: [...spec.links, linkWithItself] } : spec,
  })
}, LONG_MS)
afterAll(() => pair.stop(), LONG_MS)

const linkWithItself = {
  id: 'a-a',
  peer: 'kme-a',
  devices: [{ id: 'sim-own', role: 'both', driver: 'simulator', options: FAST }],
}

const bytesOf = (keys: readonly KeyMessage[]): readonly Buffer[] => keys.map(({ key }) => key)
const idsOf = (keys: readonly KeyMessage[]): readonly string[] => keys.map((key) => key.key_ID)

const failureOf = async (call: Promise<unknown>): Promise<KmeError> => {
  const error: unknown = await call.then(
    () => new TypeError('it was answered'),
    (reason: unknown) => reason,
  )
  if (error instanceof KmeError) return error
  throw error
}

const draw = async (
  master: Etsi014Client,
  slaveId: string,
  request: KeyRequestMessage = {},
): Promise<readonly KeyMessage[]> => master.getKey(slaveId, { number: 2, ...request })

describe('keys between SAEs of one KME', () => {
  test('a link of a KME with itself delivers between two of its SAEs', async () => {
    const keys = await draw(await pair.a.sae('sae-a1'), 'sae-a2')
    const fetched = await (await pair.a.sae('sae-a2')).getKeysWithIds('sae-a1', idsOf(keys))
    expect(bytesOf(fetched)).toEqual(bytesOf(keys))
  })

  test('an SAE with loopback is its own slave, one without is refused', async () => {
    const own = await pair.a.sae('sae-a1')
    const keys = await draw(own, 'sae-a1')
    expect(bytesOf(await own.getKeysWithIds('sae-a1', idsOf(keys)))).toEqual(bytesOf(keys))

    const refusal = await failureOf(draw(await pair.a.sae('sae-a2'), 'sae-a2'))
    expect(refusal.code).toBe('BAD_REQUEST')
    expect(refusal.message).toContain('loopback')
  })
})

describe('keys for several slaves', () => {
  test('slaves at both KMEs get the same keys, each once, and nobody else gets them', async () => {
    const keys = await draw(await pair.a.sae('sae-a1'), 'sae-b1', {
      additional_slave_SAE_IDs: ['sae-a2', 'sae-b2'],
    })
    const slaves = [
      await pair.b.sae('sae-b1'),
      await pair.a.sae('sae-a2'),
      await pair.b.sae('sae-b2'),
    ]
    for (const slave of slaves) {
      expect(bytesOf(await slave.getKeysWithIds('sae-a1', idsOf(keys)))).toEqual(bytesOf(keys))
    }
    for (const slave of slaves) {
      const again = await failureOf(slave.getKeysWithIds('sae-a1', idsOf(keys)))
      expect(again.code).toBe('KEY_NOT_FOUND')
    }
    const other = await pair.a.sae('sae-a3')
    const refused = await failureOf(other.getKeysWithIds('sae-a1', idsOf(keys)))
    expect(['UNAUTHORIZED', 'KEY_NOT_FOUND']).toContain(refused.code)
  })
})

describe('the simulated device', () => {
  test('its mark shows in the status that an SAE reads', async () => {
    const status = await (await pair.a.sae('sae-a1')).status('sae-b1')
    expect(status.status_extension).toEqual({ key_sources: ['simulated'] })
    expect(status.stored_key_count).toBeGreaterThan(0)
  })
})

describe('certificates of SAEs', () => {
  /** Requests of one client on one connection: its local port tells whether it still is that one. */
  const keepAliveClient = (certificate: LabCertificate) => {
    const { cert, key, ca } = certificate
    const agent = new Agent({ cert, key, ca, keepAlive: true, maxSockets: 1, maxCachedSessions: 0 })
    const url = `${pair.a.url}/api/v1/keys/sae-b1/status`
    const ask = () =>
      new Promise<{ readonly status: number; readonly localPort: number }>((resolve, reject) => {
        const sent = request(url, { agent }, (response) => {
          const { localPort = 0 } = response.socket
          response.resume().once('end', () => {
            resolve({ status: response.statusCode ?? 0, localPort })
          })
        })
        sent.once('error', reject)
        sent.end()
      })
    const close = (): void => {
      agent.destroy()
    }
    return { ask, close }
  }

  const statusAs = async (
    certificate: Pick<LabCertificate | TestCertificate, 'cert' | 'key'> | null,
  ) => {
    const { ca } = await pair.lab.certificate('sae', 'sae-a1')
    const agent = new Agent({ ...certificate, ca, maxCachedSessions: 0 })
    return new Promise<number | 'no answer'>((resolve) => {
      const url = `${pair.a.url}/api/v1/keys/sae-b1/status`
      const sent = request(url, { agent }, (response) => {
        response.resume()
        resolve(response.statusCode ?? 0)
      })
      sent.once('error', () => {
        resolve('no answer')
      })
      sent.end()
    })
  }

  test('a client without a certificate, or with one of another CA, gets no answer', async () => {
    const stranger = await (await createTestCa({ name: 'SAE CA' })).issue('sae-a1')
    expect(await statusAs(null)).toBe('no answer')
    expect(await statusAs(stranger)).toBe('no answer')
  })

  test('a certificate of a KME or an operator opens nothing at the listener for SAEs', async () => {
    expect(await statusAs(await pair.lab.certificate('kme', 'kme-b'))).toBe('no answer')
    expect(await statusAs(await pair.lab.certificate('operator', 'operator'))).toBe('no answer')
  })

  test('an SAE with a good certificate that is not registered here is answered 401', async () => {
    expect(await statusAs(await pair.lab.certificate('sae', 'sae-b1'))).toBe(401)
  })

  test(
    'a certificate that is revoked counts no more, also on a connection that is open',
    async () => {
      const client = keepAliveClient(await pair.lab.certificate('sae', 'sae-a3'))
      const before = await client.ask()
      expect(before.status).toBe(200)
      expect((await client.ask()).localPort).toBe(before.localPort)

      await pair.lab.revoke('sae', 'sae-a3')
      // Either the open connection ends, or the request on it is refused; a new one never opens.
      await patiently(
        () =>
          client.ask().then(
            ({ status }) => status === 401,
            () => true,
          ),
        'the end of the revoked certificate',
      )
      await expect(client.ask()).rejects.toThrow()
      client.close()
      expect(await statusAs(await pair.lab.certificate('sae', 'sae-a3'))).toBe('no answer')
      // Others of the same CA are served as before.
      expect(await statusAs(await pair.lab.certificate('sae', 'sae-a1'))).toBe(200)
    },
    LONG_MS,
  )
})

describe('mandatory extensions', () => {
  const drawYoung = async (maxAgeS: number) =>
    draw(await pair.a.sae('sae-a1'), 'sae-b1', {
      extension_mandatory: [{ max_age_s: maxAgeS }],
    })

  test('one that no KME here knows is refused with the words of the standard', async () => {
    const master = await pair.a.sae('sae-a1')
    const refusal = await failureOf(
      draw(master, 'sae-b1', { extension_mandatory: [{ moon_phase: 'full' }] }),
    )
    expect(refusal.code).toBe('BAD_REQUEST')
    expect(refusal.message).toBe(
      'the KME answered 400: not all extension_mandatory parameters are supported',
    )
  })

  test('max_age_s gives keys that are young enough, and is refused with the words of the standard where none is', async () => {
    expect(await drawYoung(3600)).toHaveLength(2)
    await pair.a.control('stall', true)
    await pair.b.control('stall', true)
    // Until what was there is older than that.
    const refusal = await patiently(
      () =>
        drawYoung(1).then(
          () => null,
          (error: unknown) => error as KmeError,
        ),
      'keys that are too old',
    )
    expect(refusal.code).toBe('OPTIONS_NOT_MET')
    expect(refusal.message).toBe(
      'the KME answered 400: not all extension_mandatory request options could be met',
    )
    expect(await drawYoung(3600)).toHaveLength(2)
    await pair.a.control('stall', false)
    await pair.b.control('stall', false)
  })
})
