import { describe, expect, test } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import { CopiedSite, startBoth } from '../helpers/copied-pair.ts'
import { LINK_ID, agreed } from '../helpers/link-pair.ts'
import { eventually } from '../helpers/eventually.ts'
import type { IssuedKeys } from '../../src/ports/destination.ts'

interface Pair extends AsyncDisposable {
  readonly a: CopiedSite
  readonly b: CopiedSite
}

/** `a` is the verifier. */
const makePair = async (): Promise<Pair> => {
  const a = await CopiedSite.make({ kmeId: 'kme-a', peerKmeId: 'kme-b', sae: 'sae-a' })
  const b = await CopiedSite.make({ kmeId: 'kme-b', peerKmeId: 'kme-a', sae: 'sae-b' })
  return {
    a,
    b,
    [Symbol.asyncDispose]: async () => {
      await a[Symbol.asyncDispose]()
      await b[Symbol.asyncDispose]()
    },
  }
}

const keysAt = ({ site }: CopiedSite): number => site.link.destination.deliverableKeys(32)

/** Both are agreed, and both lanes hold key under that name. */
const fill = async ({ a, b }: Pair, vendorId: string): Promise<void> => {
  await agreed(a.site, b.site)
  await eventually(() => a.driver.isOpen && b.driver.isOpen, 'the devices opening')
  const material = randomBytes(8192)
  await a.driver.push({ vendorId, material })
  await b.driver.push({ vendorId, material })
  await eventually(() => keysAt(a) > 0 && keysAt(b) > 0, 'keys at both ends')
}

const issue = (from: CopiedSite, to: CopiedSite): Promise<IssuedKeys> =>
  from.site.link.destination.issue({
    master: from.site.sae,
    localSlaves: [],
    remoteSlaves: [to.site.sae],
    keyLengthBytes: 32,
    keyCount: 1,
    maxAgeMs: null,
  })

const fetch = (at: CopiedSite, master: CopiedSite, { deliveryId }: IssuedKeys) =>
  at.site.store.fetchKeys(
    {
      sae: at.site.sae,
      masterSaeId: master.site.sae.saeId,
      keys: [{ deliveryId, index: 0 }],
    },
    { runningMs: 1, wallMs: 0 },
  )

const epochOf = async ({ site }: CopiedSite) => {
  const { epoch, epochAfterRestoreOf: after, restored } = await site.store.readLink(LINK_ID)
  return { counter: epoch?.counter, after, restored }
}

const generationOf = async ({ site }: CopiedSite) => (await site.store.readStanding()).generation

/** Starts from key, copies named `old` at both ends, and a key issued each way since. */
const usedSinceCopies = async (pair: Pair): Promise<readonly [IssuedKeys, IssuedKeys]> => {
  const { a, b } = pair
  startBoth(a, b)
  await fill(pair, '1')
  await Promise.all([a.putAside('old'), b.putAside('old')])
  startBoth(a, b)
  await agreed(a.site, b.site)
  await eventually(() => keysAt(a) > 0 && keysAt(b) > 0)
  return [await issue(a, b), await issue(b, a)]
}

describe.each([
  ['follower', 'b', 'a'],
  ['verifier', 'a', 'b'],
] as const)('a %s whose store is put back by hand', (end, back, stays) => {
  test('is noticed by both ends, and the link goes on with new key in the next epoch', async () => {
    await using pair = await makePair()
    await usedSinceCopies(pair)
    const before = await generationOf(pair[back])
    await pair[back].putBack('old')
    startBoth(pair.a, pair.b)
    await fill(pair, '2')
    for (const site of [pair.a, pair.b]) {
      expect(await epochOf(site)).toEqual({ counter: 2, after: end, restored: false })
    }
    expect(await generationOf(pair[back])).not.toBe(before)
    expect(pair[back].site.observer.names()).toContain('self-restored')
    expect(pair[stays].site.observer.names()).toContain('peer-restored')
    expect(pair[stays].site.observer.names()).not.toContain('self-restored')
    const key = await issue(pair[back], pair[stays])
    const fetched = await fetch(pair[stays], pair[back], key)
    expect(fetched.outcome === 'fetched' && fetched.keys[0]?.equals(key.material)).toBe(true)
  })

  test('holds nothing for its SAEs any more, while the other end keeps what it holds', async () => {
    await using pair = await makePair()
    const [fromA, fromB] = await usedSinceCopies(pair)
    // A copy that still holds what has been fetched since.
    await pair[back].putAside('held')
    const [toBack, toStays] = back === 'b' ? [fromA, fromB] : [fromB, fromA]
    await fetch(pair[back], pair[stays], toBack)
    startBoth(pair.a, pair.b)
    await agreed(pair.a.site, pair.b.site)
    await pair[back].putBack('held')
    startBoth(pair.a, pair.b)
    await fill(pair, '2')
    expect((await fetch(pair[back], pair[stays], toBack)).outcome).not.toBe('fetched')
    expect((await fetch(pair[stays], pair[back], toStays)).outcome).toBe('fetched')
    const audit = await pair[back].site.store.readAudit(0, 100)
    expect(audit.map(({ action }) => action)).toContain('dropped')
    const { counters, rows } = await pair[back].site.store.recountLedger(LINK_ID)
    expect(counters.bytes.held).toBe(0)
    expect(rows.held).toBe(0)
  })

  test('opens its devices afresh, and so does the other end; once, also after another start', async () => {
    await using pair = await makePair()
    await usedSinceCopies(pair)
    await pair[back].putBack('old')
    const already = [pair.a.openedAfresh.length, pair.b.openedAfresh.length]
    startBoth(pair.a, pair.b)
    await fill(pair, '2')
    expect(pair.a.openedAfresh.slice(already[0])).toContain(true)
    expect(pair.b.openedAfresh.slice(already[1])).toContain(true)
    await Promise.all([pair.a.reopen(), pair.b.reopen()])
    startBoth(pair.a, pair.b)
    await fill(pair, '3')
    expect(pair.a.openedAfresh.at(-1)).toBe(false)
    expect(pair.b.openedAfresh.at(-1)).toBe(false)
  })

  test('opens its devices afresh also where its process ended after the epoch began and before they were open', async () => {
    await using pair = await makePair()
    await usedSinceCopies(pair)
    await pair[back].putBack('old')
    const already = [pair.a.openedAfresh.length, pair.b.openedAfresh.length]
    for (const end of [pair.a, pair.b]) end.opensDrivers = false
    startBoth(pair.a, pair.b)
    for (const end of [pair.a, pair.b]) {
      await eventually(async () => (await epochOf(end)).counter === 2, 'the next epoch')
    }
    await agreed(pair.a.site, pair.b.site)
    await Promise.all([pair.a.reopen(), pair.b.reopen()])
    for (const end of [pair.a, pair.b]) end.opensDrivers = true
    startBoth(pair.a, pair.b)
    await fill(pair, '2')
    expect(pair.a.openedAfresh.slice(already[0])).toEqual([true])
    expect(pair.b.openedAfresh.slice(already[1])).toEqual([true])
  })

  test('twice, each ends an epoch', async () => {
    await using pair = await makePair()
    await usedSinceCopies(pair)
    await pair[back].putBack('old')
    startBoth(pair.a, pair.b)
    await fill(pair, '2')
    await issue(pair.a, pair.b)
    await pair[back].putBack('old')
    startBoth(pair.a, pair.b)
    await fill(pair, '3')
    for (const site of [pair.a, pair.b]) {
      expect(await epochOf(site)).toEqual({ counter: 3, after: end, restored: false })
    }
  })

  test('is noticed although its process ends between any two of its steps', async () => {
    await using pair = await makePair()
    await usedSinceCopies(pair)
    await pair[back].putBack('old')
    // It has taken its new generation, and not one message has gone out since.
    const { site } = pair[back]
    await site.store.becomeRestored(await generationOf(pair[back]), { runningMs: 1, wallMs: 0 })
    await pair[back].reopen()
    expect(await epochOf(pair[back])).toMatchObject({ counter: 1, restored: true })
    startBoth(pair.a, pair.b)
    await fill(pair, '2')
    expect(await epochOf(pair[stays])).toMatchObject({ counter: 2, after: end })
  })
})

describe('two stores put back', () => {
  test('that know of it begin an epoch after a restore of both', async () => {
    await using pair = await makePair()
    await usedSinceCopies(pair)
    for (const end of [pair.a, pair.b]) {
      await end.putBack('old')
      const found = await generationOf(end)
      await end.site.store.becomeRestored(found, { runningMs: 1, wallMs: 0 })
    }
    startBoth(pair.a, pair.b)
    await fill(pair, '2')
    for (const end of [pair.a, pair.b]) {
      expect(await epochOf(end)).toEqual({ counter: 2, after: 'both', restored: false })
    }
  })
})

test('in the first epoch of two new stores nothing is discarded at the devices', async () => {
  await using pair = await makePair()
  startBoth(pair.a, pair.b)
  await fill(pair, '1')
  expect([...pair.a.openedAfresh, ...pair.b.openedAfresh]).toEqual([false, false])
  expect(await epochOf(pair.a)).toEqual({ counter: 1, after: null, restored: false })
  for (const { site } of [pair.a, pair.b]) {
    expect(site.observer.names().filter((name) => name.endsWith('-restored'))).toEqual([])
  }
})

test('a restore that happens while links run ends their sessions and is over with the next epoch', async () => {
  await using pair = await makePair()
  startBoth(pair.a, pair.b)
  await fill(pair, '1')
  const { site } = pair.b
  await site.store.becomeRestored(await generationOf(pair.b), { runningMs: 1, wallMs: 0 })
  await eventually(async () => (await epochOf(pair.b)).counter === 2, 'the next epoch')
  await fill(pair, '2')
  const late = pair.b.driver
  expect(late.isOpen).toBe(true)
  expect(pair.a.openedAfresh).toEqual([false, true])
  expect(pair.b.openedAfresh).toEqual([false, true])
})
