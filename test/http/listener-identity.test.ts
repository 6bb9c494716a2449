import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { once } from 'node:events'
import { chmod } from 'node:fs/promises'
import { Agent } from 'node:https'
import type { TLSSocket } from 'node:tls'
import type { Listener } from '../../src/http/listener.ts'
import { createTestCa } from '../helpers/test-ca.ts'
import { SaeWorld, addressPort, call, closed, openTls, readAll } from './listener-fixture.ts'

let world: SaeWorld
beforeAll(async () => {
  world = await SaeWorld.create()
})
afterEach(() => world.closeListeners())
afterAll(() => world[Symbol.asyncDispose]())

const GET = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'

describe('Who is let in', () => {
  test('answers a registered SAE by the name in its certificate', async () => {
    const listener = await world.listen()
    const sae = await world.ca.issue('sae-a')
    expect(await call(listener, sae)).toMatchObject({ status: 200, body: 'sae-a' })
  })

  test('ends the handshake of a client without a certificate', async () => {
    const listener = await world.listen()
    await expect(call(listener, { ca: world.ca.ca })).rejects.toThrow()
  })

  test('ends the handshake of a client of a foreign CA, also of one with the same name', async () => {
    const listener = await world.listen()
    const foreign = await (await createTestCa()).issue('sae-a')
    await expect(call(listener, { ...foreign, ca: world.ca.ca })).rejects.toThrow()
  })

  test('tells the operator why handshakes fail, once for each reason', async () => {
    const listener = await world.listen()
    const { cert, key } = await (await createTestCa()).issue('sae-a')
    world.observer.events.length = 0
    for (let i = 0; i < 3; i += 1) {
      await expect(call(listener, { cert, key, ca: world.ca.ca })).rejects.toThrow()
      await expect(call(listener, { ca: world.ca.ca })).rejects.toThrow()
    }
    const told = world.observer.events.map(({ name, fields }) => [name, fields?.['reason']])
    expect(told).toEqual([
      ['listener.handshake.refused', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
      ['listener.handshake.refused', 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE'],
    ])
  })

  test('ends the handshake of a client below the oldest TLS version allowed', async () => {
    const listener = await world.listen({ tls: { minVersion: 'TLSv1.3' } })
    const sae = await world.ca.issue('sae-a')
    await expect(openTls(listener, sae, { maxVersion: 'TLSv1.2' })).rejects.toThrow()
  })

  test('answers 401 to a valid certificate of nobody registered', async () => {
    const listener = await world.listen()
    expect(await call(listener, await world.ca.issue('stranger'))).toMatchObject({ status: 401 })
  })

  test('answers 401 to an SAE ID from another CA than the registered one', async () => {
    const listener = await world.listen()
    world.registered.set('sae-elsewhere', 'other-saes')
    const answer = await call(listener, await world.ca.issue('sae-elsewhere'))
    expect(answer).toMatchObject({ status: 401 })
    expect(answer.body).toContain('registered with the CA other-saes, not saes')
  })
})

describe('What TLS is spoken', () => {
  test('agrees on the post-quantum group and an AEAD cipher', async () => {
    const listener = await world.listen()
    const socket = await openTls(listener, await world.ca.issue('sae-a'))
    expect(socket.getProtocol()).toBe('TLSv1.3')
    expect(socket.getCipher().standardName).toBe('TLS_AES_256_GCM_SHA384')
    socket.destroy()
  })

  test.each(['X25519MLKEM768', 'X25519', 'P-256', 'P-384'])(
    'agrees on the group %s with a client that has no other',
    async (ecdhCurve) => {
      const listener = await world.listen()
      const socket = await openTls(listener, await world.ca.issue('sae-a'), { ecdhCurve })
      expect(socket.authorized).toBe(true)
      socket.destroy()
    },
  )

  test('speaks TLS 1.2 with forward secrecy and refuses it without', async () => {
    const listener = await world.listen()
    const sae = await world.ca.issue('sae-a')
    const tls12 = { maxVersion: 'TLSv1.2' } as const
    const socket = await openTls(listener, sae, tls12)
    expect(socket.getCipher().name).toMatch(/^ECDHE-ECDSA-(AES\d+-GCM|CHACHA20)/)
    socket.destroy()
    const weak = { ...tls12, ciphers: 'ECDHE-ECDSA-AES256-SHA384:AES256-GCM-SHA384' }
    await expect(openTls(listener, sae, weak)).rejects.toThrow()
  })

  test('refuses to renegotiate', async () => {
    const listener = await world.listen()
    const socket = await openTls(listener, await world.ca.issue('sae-a'), { maxVersion: 'TLSv1.2' })
    const refused = await new Promise<boolean>((resolve) => {
      socket.on('error', () => {
        resolve(true)
      })
      socket.renegotiate({}, (error) => {
        resolve(error !== null)
      })
    })
    expect(refused).toBe(true)
    socket.destroy()
  })
})

describe('Revocation', () => {
  const firstAnswer = async (socket: TLSSocket): Promise<string> => {
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    return chunk.toString()
  }

  test('closes an open connection of the SAE and refuses its next one', async () => {
    const listener = await world.listen()
    const [revoked, other] = [await world.ca.issue('sae-a'), await world.ca.issue('sae-b')]
    const [sockets, kept] = [await openTls(listener, revoked), await openTls(listener, other)]
    expect(await firstAnswer(sockets)).toContain('200 OK')
    expect(await firstAnswer(kept)).toContain('200 OK')
    const gone = closed(sockets)
    await world.revoke(revoked.serial)
    await listener.reload()
    await gone
    expect(await firstAnswer(kept)).toContain('200 OK')
    await expect(call(listener, revoked)).rejects.toThrow()
    kept.destroy()
    await world.revoke()
  })

  test('is noticed without being asked for', async () => {
    const listener = await world.listen({ tls: { reloadIntervalMs: 20 } })
    const revoked = await world.ca.issue('sae-a')
    const socket = await openTls(listener, revoked)
    const gone = closed(socket)
    await world.revoke(revoked.serial)
    await gone
    await world.revoke()
  })

  const sessionOf = async (
    listener: Listener,
    sae: Parameters<typeof openTls>[1],
    maxVersion: 'TLSv1.2' | 'TLSv1.3',
  ): Promise<Buffer> => {
    const socket = await openTls(listener, sae, { maxVersion })
    const came = once(socket, 'session') as Promise<[Buffer]>
    socket.write(GET)
    const known = socket.getSession()
    const session = maxVersion === 'TLSv1.2' && known !== undefined ? known : (await came)[0]
    await readAll(socket)
    return session
  }

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'refuses a session that %s would resume, though the library looks at no certificate again',
    async (maxVersion) => {
      const listener = await world.listen()
      const sae = await world.ca.issue('sae-a')
      const session = await sessionOf(listener, sae, maxVersion)
      const before = await openTls(listener, sae, { maxVersion, session })
      expect(before.isSessionReused()).toBe(true)
      before.write(GET)
      expect(await readAll(before)).toContain('sae-a')
      await world.revoke(sae.serial)
      await listener.reload()
      const after = openTls(listener, sae, { maxVersion, session }).then(async (socket) => {
        socket.write(GET)
        return readAll(socket)
      })
      expect(await after.catch(() => '')).toBe('')
      await world.revoke()
    },
  )

  test('a CA is replaced without a restart: what the former one issued gets nothing any more', async () => {
    const listener = await world.listen()
    const next = await createTestCa({ name: 'Next CA' })
    const [former, sae] = [await world.ca.issue('sae-a'), await next.issue('sae-a')]
    // The KME's own certificate still comes from the former CA.
    const renewed = { ...sae, ca: world.ca.ca }
    const open = await openTls(listener, former)
    expect(await firstAnswer(open)).toContain('200 OK')
    await expect(call(listener, renewed)).rejects.toThrow()
    await world.write('ca.pem', world.ca.ca + next.ca)
    await world.write('crl.pem', (await world.ca.crl([])) + (await next.crl([])))
    await listener.reload()
    for (const one of [former, renewed]) {
      expect(await call(listener, one)).toMatchObject({ status: 200, body: 'sae-a' })
    }
    expect(await firstAnswer(open)).toContain('200 OK')
    const session = await sessionOf(listener, former, 'TLSv1.2')
    await world.write('ca.pem', next.ca)
    await world.write('crl.pem', await next.crl([]))
    const gone = closed(open)
    await listener.reload()
    await gone
    expect(await call(listener, renewed)).toMatchObject({ status: 200, body: 'sae-a' })
    await expect(call(listener, former)).rejects.toThrow()
    const resumed = openTls(listener, former, { maxVersion: 'TLSv1.2', session }).then((socket) => {
      socket.write(GET)
      return readAll(socket)
    })
    expect(await resumed.catch(() => '')).toBe('')
    await world.write('ca.pem', world.ca.ca)
    await world.revoke()
  })

  test('a certificate that has expired gets nothing, on an open or resumed connection either', async () => {
    const listener = await world.listen()
    const day = 86_400_000
    const expired = await world.ca.issue('sae-a', { notAfter: new Date(Date.now() - day / 2) })
    await expect(call(listener, expired)).rejects.toThrow()
    const sae = await world.ca.issue('sae-a', { notAfter: new Date(Date.now() + day / 2) })
    const session = await sessionOf(listener, sae, 'TLSv1.3')
    const open = await openTls(listener, sae)
    expect(await firstAnswer(open)).toContain('200 OK')
    world.clock.offsetMs = day * 0.75
    expect(await firstAnswer(open)).toContain('401 Unauthorized')
    const resumed = await openTls(listener, sae, { session })
    expect(resumed.isSessionReused()).toBe(true)
    expect(await firstAnswer(resumed)).toContain('401 Unauthorized')
    for (const socket of [open, resumed]) socket.destroy()
    world.clock.offsetMs = 0
  })

  test('answers 401 on an open connection as soon as the SAE is no longer registered', async () => {
    const listener = await world.listen()
    world.registered.set('sae-c', 'saes')
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const sae = await world.ca.issue('sae-c')
    expect(await call(listener, sae, { agent })).toMatchObject({ status: 200 })
    world.registered.delete('sae-c')
    expect(await call(listener, sae, { agent })).toMatchObject({ status: 401 })
    agent.destroy()
  })
})

describe('The certificate of the listener', () => {
  test('is replaced when its files change, for new connections', async () => {
    const listener = await world.listen()
    const sae = await world.ca.issue('sae-a')
    const renewed = await world.ca.issue('kme')
    await world.writeServerCertificate(renewed)
    await listener.reload()
    const socket = await openTls(listener, sae)
    expect(socket.getPeerCertificate().serialNumber.toLowerCase()).toBe(renewed.serial)
    socket.destroy()
    expect(await call(listener, sae)).toMatchObject({ status: 200 })
    await expect(call(listener, { ca: world.ca.ca })).rejects.toThrow()
  })

  test('stays while the files hold no pair, and the log says so once', async () => {
    const listener = await world.listen()
    await world.write('server-key.pem', (await world.ca.issue('kme')).key)
    world.observer.events.length = 0
    await listener.reload()
    await listener.reload()
    expect(world.observer.names()).toEqual(['listener.certificate.refused'])
    expect(world.observer.events[0]?.message).toContain('is not the private key of the certificate')
    expect(await call(listener, await world.ca.issue('sae-a'))).toMatchObject({ status: 200 })
    await world.writeServerCertificate(await world.ca.issue('kme'))
  })

  test('is refused at the start where others can read its key', async () => {
    await chmod(world.path('server-key.pem'), 0o644)
    await expect(world.listen()).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    await chmod(world.path('server-key.pem'), 0o600)
  })
})

test('a listener tells the port that the system chose', async () => {
  expect(addressPort(await world.listen())).toBeGreaterThan(0)
})
