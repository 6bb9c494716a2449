import { describe, expect, test } from '@jest/globals'
import request from 'supertest'
import { createProbesApp } from '../../src/admin/probes-app.ts'
import { RecordingObserver } from '../http/listener-fixture.ts'
import { FakeKme, LINK, adminWorld } from './admin-fixture.ts'

const CONTROL = '/admin/v1/links/a-b/devices/dev-1/control'
const PATHS = [
  '/healthz',
  '/readyz',
  '/admin/v1/status',
  '/admin/v1/links',
  '/admin/v1/links/a-b',
  '/admin/v1/alarms',
]

describe('The operator API', () => {
  test.each([...PATHS, '/nothing'])('answers 401 on %s to whoever is no operator', async (path) => {
    const { app } = adminWorld({ operatorOf: () => null })
    const answer = await request(app).get(path)
    expect(answer.status).toBe(401)
    expect(answer.body).toEqual({
      message: 'the certificate is not that of an operator, or no longer valid',
    })
  })

  test('turns no switch for whoever is no operator', async () => {
    const { app, kme } = adminWorld({ operatorOf: () => null })
    const answer = await request(app).post(CONTROL).send({ name: 'eavesdropper', value: 1 })
    expect(answer.status).toBe(401)
    expect(kme.controlled).toEqual([])
  })

  test('tells the state of the KME, its links and alarms', async () => {
    const { app, kme } = adminWorld()
    const answer = await request(app).get('/admin/v1/status')
    expect(answer.status).toBe(200)
    expect(answer.body).toEqual({
      kme: kme.kme(),
      ready: true,
      reasons: [],
      links: [LINK],
      alarms: kme.alarms(),
    })
  })

  test('tells one link with its own alarms alone, and 404 for another', async () => {
    const { app } = adminWorld()
    const answer = await request(app).get('/admin/v1/links/a-b')
    expect(answer.body).toMatchObject({ link: LINK, alarms: [{ name: 'simulated-keys' }] })
    expect(answer.body.alarms).toHaveLength(1)
    expect((await request(app).get('/admin/v1/links/a-c')).status).toBe(404)
  })

  test('is ready with 200, and not ready with 503 and the reasons', async () => {
    const { app, kme } = adminWorld()
    expect((await request(app).get('/readyz')).status).toBe(200)
    kme.reasons = [{ code: 'no-keys', message: 'link a-b has no keys', linkId: 'a-b' }]
    const answer = await request(app).get('/readyz')
    expect(answer.status).toBe(503)
    expect(answer.body).toEqual({ ready: false, reasons: kme.reasons })
  })

  test('sends a content security policy that allows nothing foreign, and stores nothing', async () => {
    const { headers } = await request(adminWorld().app).get('/healthz')
    expect(headers['content-security-policy']).toMatch(/^default-src 'none';/)
    expect(headers['content-security-policy']).not.toContain('unsafe')
    expect(headers['cache-control']).toBe('no-store')
    expect(headers['x-powered-by']).toBeUndefined()
  })

  test.each(PATHS)('answers 405 to POST on %s', async (path) => {
    const answer = await request(adminWorld().app).post(path).send({})
    expect(answer.status).toBe(405)
    expect(answer.headers['allow']).toBe('GET, HEAD')
  })

  test.each(['/admin/v1/Status', '/admin/v1/status/', '/admin//v1/status', '/'])(
    'answers 404 to %s',
    async (path) => {
      const answer = await request(adminWorld().app).get(path)
      expect(answer.status).toBe(404)
      expect(answer.body).toHaveProperty('message')
    },
  )

  test('answers a badly encoded path with 400', async () => {
    expect((await request(adminWorld().app).get('/admin/v1/links/%zz')).status).toBe(400)
  })

  test('tells nothing of a failure inside, and logs it', async () => {
    const { app, kme, observer } = adminWorld()
    kme.broken = true
    const answer = await request(app).get('/admin/v1/status')
    expect(answer.status).toBe(500)
    expect(answer.body).toEqual({ message: 'the request failed' })
    expect(observer.events[0]?.message).toContain('disk is full')
  })
})

describe('Switches of a device', () => {
  test('are turned, and the log says by whom', async () => {
    const { app, kme, observer } = adminWorld()
    const answer = await request(app).post(CONTROL).send({ name: 'eavesdropper', value: 0.2 })
    expect(answer.status).toBe(204)
    expect(kme.controlled).toEqual([['a-b', 'dev-1', 'eavesdropper', 0.2]])
    expect(observer.events[0]).toMatchObject({
      name: 'admin.control',
      fields: {
        operator: 'olga',
        linkId: 'a-b',
        deviceId: 'dev-1',
        name: 'eavesdropper',
        value: 0.2,
      },
    })
  })

  test.each([
    ['an unknown switch', { name: 'other', value: 1 }],
    ['no name', { value: 1 }],
    ['no value', { name: 'eavesdropper' }],
    ['a value of another type', { name: 'eavesdropper', value: [1] }],
    ['a further member', { name: 'eavesdropper', value: 1, more: 1 }],
    ['a list', [1]],
  ])('answer 400 to %s', async (_, body) => {
    const { app, kme } = adminWorld()
    const answer = await request(app).post(CONTROL).send(body)
    expect(answer.status).toBe(400)
    expect(kme.controlled).toEqual([])
  })

  test.each(['/admin/v1/links/x/devices/dev-1/control', '/admin/v1/links/a-b/devices/x/control'])(
    'answer 404 at %s',
    async (path) => {
      const body = { name: 'eavesdropper', value: 1 }
      expect((await request(adminWorld().app).post(path).send(body)).status).toBe(404)
    },
  )

  test('answer 400 to malformed JSON without quoting it', async () => {
    const sent = request(adminWorld().app).post(CONTROL).type('json')
    const answer = await sent.send('{"canary')
    expect(answer.status).toBe(400)
    expect(answer.body).toEqual({ message: 'the body is not valid JSON' })
  })

  test('answer 413 to a large body', async () => {
    const body = { name: 'x'.repeat(5000), value: 1 }
    expect((await request(adminWorld().app).post(CONTROL).send(body)).status).toBe(413)
  })

  test.each(['gzip', 'br', 'deflate', 'identity, br'])(
    'answer 415 to a body encoded as %s',
    async (encoding) => {
      const sent = request(adminWorld().app).post(CONTROL).set('Content-Encoding', encoding)
      expect((await sent.type('json').send('{}')).status).toBe(415)
    },
  )

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data'])(
    'answer 415 to %s, which a page of another site can send',
    async (type) => {
      const { app, kme } = adminWorld()
      const sent = request(app).post(CONTROL).set('Content-Type', type)
      expect((await sent.send('{"name":"eavesdropper","value":1}')).status).toBe(415)
      expect(kme.controlled).toEqual([])
    },
  )

  test('answer 403 to a page of another site', async () => {
    const sent = request(adminWorld().app).post(CONTROL).set('Sec-Fetch-Site', 'cross-site')
    expect((await sent.send({ name: 'eavesdropper', value: 1 })).status).toBe(403)
  })
})

describe('The probes', () => {
  test('tell codes and nothing else', async () => {
    const kme = new FakeKme()
    kme.reasons = [
      { code: 'no-keys', message: 'link a-b', linkId: 'a-b' },
      { code: 'no-keys', message: 'link a-c', linkId: 'a-c' },
    ]
    const app = createProbesApp(kme, new RecordingObserver())
    const answer = await request(app).get('/readyz')
    expect([answer.status, answer.body]).toEqual([503, { ready: false, reasons: ['no-keys'] }])
    expect((await request(app).get('/healthz')).body).toEqual({ healthy: true })
    expect((await request(app).get('/admin/v1/status')).status).toBe(404)
    expect((await request(app).post('/healthz')).status).toBe(405)
  })
})
