import { describe, expect, test } from '@jest/globals'
import request from 'supertest'
import { adminWorld } from './admin-fixture.ts'

const PATH = '/admin/v1/store/rotate-kek'
const KEK_ID = '0123456789abcdef'

describe('The operator API, asked to put the store under another KEK', () => {
  test('does it, and says in the log who asked', async () => {
    const { app, kme, observer } = adminWorld()
    expect((await request(app).post(PATH).send({ kekId: KEK_ID })).status).toBe(204)
    expect(kme.rotatedTo).toEqual([KEK_ID])
    expect(observer.events).toContainEqual(
      expect.objectContaining({
        name: 'admin.rotate-kek',
        fields: { operator: 'olga', kekId: KEK_ID },
      }),
    )
  })

  test('does nothing for whoever is no operator', async () => {
    const { app, kme } = adminWorld({ operatorOf: () => null })
    expect((await request(app).post(PATH).send({ kekId: KEK_ID })).status).toBe(401)
    expect(kme.rotatedTo).toEqual([])
  })

  test('does nothing for a page of another site', async () => {
    const { app, kme } = adminWorld()
    const posted = request(app).post(PATH).set('Sec-Fetch-Site', 'cross-site')
    expect((await posted.send({ kekId: KEK_ID })).status).toBe(403)
    expect(kme.rotatedTo).toEqual([])
  })

  test('says with 409 why the KEK file does not do', async () => {
    const { app } = adminWorld()
    const answer = await request(app)
      .post(PATH)
      .send({ kekId: 'f'.repeat(16) })
    expect([answer.status, answer.body]).toEqual([409, { message: 'another KEK' }])
  })

  test.each([
    {},
    [],
    [KEK_ID],
    { kekId: KEK_ID.toUpperCase() },
    { kekId: `${KEK_ID}0` },
    { kekId: 1 },
    { kekId: KEK_ID, key: 'x' },
  ])('refuses the body %j with 400', async (body) => {
    const { app, kme } = adminWorld()
    expect((await request(app).post(PATH).send(body)).status).toBe(400)
    expect(kme.rotatedTo).toEqual([])
  })

  test('is for POST alone', async () => {
    const { app } = adminWorld()
    const answer = await request(app).get(PATH)
    expect([answer.status, answer.headers['allow']]).toEqual([405, 'POST'])
  })
})
