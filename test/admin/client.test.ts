import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { AdminClient } from '../../src/admin/client.ts'
import { createTestCa } from '../helpers/test-ca.ts'
import { type AdminWorld, LINK, startAdminWorld } from './admin-fixture.ts'

let world: AdminWorld
beforeAll(async () => {
  world = await startAdminWorld()
})
afterAll(() => world.close())

const clientOf = async (trust: { ca: string } | { pinnedCert: string }): Promise<AdminClient> => {
  const { cert, key } = await world.operators.issue('olga')
  return new AdminClient({ url: `https://127.0.0.1:${world.port}`, cert, key, ...trust })
}

describe('The client of the operator API, over mutual TLS', () => {
  test('reads what the KME shows', async () => {
    const client = await clientOf({ ca: world.kmes.ca })
    expect((await client.status()).kme.kmeId).toBe('kme-a')
    expect(await client.links()).toEqual([LINK])
    expect((await client.link('a-b')).alarms).toHaveLength(1)
    expect(await client.alarms()).toHaveLength(2)
    world.kme.reasons = [{ code: 'no-keys', message: 'none' }]
    expect(await client.ready()).toEqual({ ready: false, reasons: world.kme.reasons })
    world.kme.reasons = []
  })

  test('turns a switch, and passes on why not', async () => {
    const client = await clientOf({ ca: world.kmes.ca })
    await client.control('a-b', 'dev-1', 'eavesdropper', 0.1)
    expect(world.kme.controlled).toEqual([['a-b', 'dev-1', 'eavesdropper', 0.1]])
    await expect(client.control('a-b', 'dev-1', 'other', 1)).rejects.toMatchObject({
      code: 'BAD_REQUEST',
      message: expect.stringContaining('answered 400: no switch other'),
    })
  })

  test('trusts one pinned certificate, and no other', async () => {
    expect((await (await clientOf({ pinnedCert: world.serverCert })).status()).ready).toBe(true)
    const other = await world.kmes.issue('kme-a')
    await expect((await clientOf({ pinnedCert: other.cert })).status()).rejects.toMatchObject({
      code: 'PEER_UNAVAILABLE',
    })
  })

  test('is refused with the certificate of an SAE', async () => {
    const { cert, key } = await (await createTestCa()).issue('sae-a')
    const url = `https://127.0.0.1:${world.port}`
    const stranger = new AdminClient({ url, cert, key, ca: world.kmes.ca })
    await expect(stranger.status()).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' })
  })

  test('refuses a URL without TLS', () => {
    const options = { cert: '', key: '', ca: '' }
    expect(() => new AdminClient({ url: 'http://127.0.0.1:1', ...options })).toThrow(
      'expected a URL like https://127.0.0.1:8445',
    )
  })
})
