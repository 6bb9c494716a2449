import { randomBytes } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import {
  LINK_ID,
  agreed,
  makeLinkPair,
  restart,
  type LinkPair,
  type Site,
} from '../helpers/link-pair.ts'
import type { IssueRequest, IssuedKeys } from '../../src/ports/destination.ts'
import { eventually } from '../helpers/eventually.ts'
import { keyIdOf, splitKeyId } from '../../src/model/key-id.ts'

const KEY_BYTES = 32

const requestOf = (from: Site, to: Site): IssueRequest => ({
  master: from.sae,
  localSlaves: [],
  remoteSlaves: [to.sae],
  keyLengthBytes: KEY_BYTES,
  keyCount: 1,
  maxAgeMs: null,
})

const makeLocalPair = async (): Promise<LinkPair> => {
  const settings = { confirm: 'local' as const }
  const pair = await makeLinkPair({ a: { settings }, b: { settings } })
  await eventually(() => pair.a.driver.isOpen && pair.b.driver.isOpen)
  const material = randomBytes(16_384)
  await pair.a.driver.push({ vendorId: '1', material })
  await pair.b.driver.push({ vendorId: '1', material })
  for (const site of [pair.a, pair.b]) {
    await eventually(() => site.link.destination.deliverableKeys(KEY_BYTES) > 0)
  }
  return pair
}

const issue = (from: Site, to: Site) => from.link.destination.issue(requestOf(from, to))

const fetchAt = async (from: Site, to: Site, issued: IssuedKeys) =>
  to.store.fetchKeys(
    {
      sae: to.sae,
      masterSaeId: from.sae.saeId,
      keys: [splitKeyId(keyIdOf(issued.deliveryId, 0))],
    },
    { runningMs: 10, wallMs: 0 },
  )

const bring = (to: Site, issued: IssuedKeys) =>
  to.link.destination.bring?.([issued.deliveryId], to.sae)

const isConfirm = ({ kind }: { kind: string }): boolean => kind === 'confirm'

describe('confirm: local', () => {
  test('gives the master its key while the confirm is on its way, and the slave gets it by asking', async () => {
    await using pair = await makeLocalPair()
    const { a, b } = pair
    a.wire.faults.pass = (messages) => !messages.some(isConfirm)
    const issued = await issue(a, b)
    expect(await fetchAt(a, b, issued)).toEqual({ outcome: 'not-found' })
    await bring(b, issued)
    const fetched = await fetchAt(a, b, issued)
    expect(fetched).toEqual({ outcome: 'fetched', keys: [issued.material] })
    // The confirm that comes after all changes nothing.
    a.wire.faults.pass = () => true
    await eventually(async () => (await a.store.countUnconfirmed(LINK_ID)) === 0)
    expect(await fetchAt(a, b, issued)).toEqual({ outcome: 'not-found' })
  })

  test('goes on while the peer cannot be reached, and tells it later of all that it gave', async () => {
    await using pair = await makeLocalPair()
    const { a, b } = pair
    a.wire.faults.cut = true
    a.wire.breakConnection()
    const issued = await Promise.all([issue(a, b), issue(a, b)])
    issued.push(await issue(a, b))
    expect(new Set(issued.map(({ material }) => material.toString('hex'))).size).toBe(3)
    expect(a.link.destination.deliverableKeys(KEY_BYTES)).toBeGreaterThan(0)
    a.wire.faults.cut = false
    await eventually(async () => (await a.store.countUnconfirmed(LINK_ID)) === 0)
    for (const one of issued) {
      expect(await fetchAt(a, b, one)).toEqual({ outcome: 'fetched', keys: [one.material] })
    }
  })

  test('answers that it is not known, not that there is no such key, while the owner cannot be asked', async () => {
    await using pair = await makeLocalPair()
    const { a, b } = pair
    a.wire.faults.pass = (messages) => !messages.some(isConfirm)
    const issued = await issue(a, b)
    b.wire.faults.cut = true
    await expect(bring(b, issued)).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' })
    b.wire.faults.cut = false
    await eventually(async () => {
      try {
        await bring(b, issued)
      } catch {
        return false
      }
      return true
    })
    expect(await fetchAt(a, b, issued)).toMatchObject({ outcome: 'fetched' })
  })

  test('tells nobody of deliveries that do not name the SAE that asks', async () => {
    await using pair = await makeLocalPair()
    const { a, b } = pair
    a.wire.faults.pass = (messages) => !messages.some(isConfirm)
    const issued = await issue(a, b)
    const stranger = { saeId: 'sae-b', registrationId: '0'.repeat(32) }
    await b.link.destination.bring?.([issued.deliveryId], stranger)
    expect(await b.store.listUnknown([issued.deliveryId])).toHaveLength(1)
  })

  test('gives no byte twice over lost connections, greetings and restarts', async () => {
    await using pair = await makeLocalPair()
    const { a, b } = pair
    const seen = new Set<string>()
    let refused = 0
    const draw = async (count: number) => {
      for (let i = 0; i < count; i += 1) {
        try {
          seen.add((await issue(a, b)).material.toString('hex'))
        } catch {
          refused += 1
        }
      }
    }
    for (let round = 0; round < 4; round += 1) {
      const drawing = Promise.all([draw(12), draw(12)])
      a.wire.faults.cut = true
      a.wire.breakConnection()
      await new Promise((resolve) => setTimeout(resolve, 5 * round))
      a.wire.faults.cut = false
      await drawing
      await agreed(a, b)
    }
    await restart(a, b)
    await agreed(a, b)
    await eventually(() => a.link.destination.deliverableKeys(KEY_BYTES) > 0)
    await draw(12)
    expect(seen.size + refused).toBe(4 * 24 + 12)
    expect(seen.size).toBeGreaterThan(24)
    await eventually(async () => (await a.store.countUnconfirmed(LINK_ID)) === 0)
    expect(a.observer.names()).not.toContain('range-conflict')
    expect(a.fatal).toEqual([])
  })

  test('is what a link has to ask for: with confirm: peer there is nothing to bring', async () => {
    await using local = await makeLocalPair()
    await using waiting = await makeLinkPair()
    expect(typeof local.b.link.destination.bring).toBe('function')
    expect(typeof waiting.b.link.destination.bring).toBe('undefined')
  })
})
