import { describe, expect, test } from '@jest/globals'
import { check } from './checker/check.ts'
import type { Evidence } from './checker/evidence.ts'
import { LESS_WITH_LOCAL } from './checker/local-confirm.ts'
import {
  A1,
  A2,
  B1,
  type World,
  deliver,
  deliveryOf,
  evidenceOf,
  goodWorld,
  randomKey,
} from './checker-fixture.ts'
import { DEFAULT_TERMS, type Restore, type SiteName } from './record.ts'

const PEER = DEFAULT_TERMS
const LOCAL = { ...DEFAULT_TERMS, confirm: 'local' } as const

/** Of the first draw of the good world, from a1 to b1. */
const FIRST_ENDED_MS = 10

const restoreOf = (site: SiteName, resumedMs: number, by: Restore['by'] = 'command'): Restore => ({
  site,
  by,
  copiedMs: -5,
  resumedMs,
  agreedMs: resumedMs + 10,
})

/** The promises that are broken once `plant` has done its work. */
const broken = (plant: (world: World) => Partial<Evidence>): readonly string[] => {
  const world = goodWorld()
  const changes = plant(world)
  return [...new Set(check(evidenceOf(world, changes)).map(({ rule }) => rule))]
}

const forget = (world: World, site: SiteName, actions: readonly string[]): void => {
  const [draw] = world.draws
  const deliveryId = deliveryOf(draw?.keys[0]?.keyId ?? '')
  const rows = world.audit[site].filter(
    (row) => row.deliveryId !== deliveryId || !actions.includes(row.action),
  )
  for (const [i, row] of rows.entries()) row.sequence = i + 1
  world.audit[site].splice(0, Infinity, ...rows)
}

/** The other KME never heard of the first delivery, so its slave never got it. */
const neverTold = (world: World): void => {
  const [fetch] = world.fetches
  if (!fetch) throw new TypeError('a fetch')
  fetch.keys = []
  fetch.outcome = { result: 'refused', code: 'KEY_NOT_FOUND' }
  forget(world, 'b', ['held', 'fetched'])
}

const issueAgain = (world: World, atMs: number): void => {
  const [bytes] = world.bytes.values()
  if (!bytes) throw new TypeError('a key')
  deliver(world, 'a', 'a1', [B1], [bytes], atMs)
}

test('with confirm: local two promises are weaker, and only where a restore ends an epoch', () => {
  expect(Object.keys(LESS_WITH_LOCAL)).toEqual(['P4', 'P6'])
  const rules = broken((world) => {
    neverTold(world)
    return { terms: LOCAL }
  })
  expect(rules).toEqual(['P4', 'P5'])
})

describe('with confirm: local P4', () => {
  const rulesWith = (terms: Evidence['terms'], restores: readonly Restore[]) =>
    broken((world) => {
      neverTold(world)
      forget(world, 'a', restores.some(({ site }) => site === 'a') ? ['delivered'] : [])
      return { terms, restores }
    })

  test('does not promise what the slave’s KME had not heard of when its master’s was restored', () => {
    expect(rulesWith(LOCAL, [restoreOf('a', 50)])).toEqual([])
    expect(rulesWith(PEER, [restoreOf('a', 50)])).toEqual(['P4', 'P5'])
  })

  test('does not promise it until both are in the next epoch, whichever was restored', () => {
    expect(rulesWith(LOCAL, [restoreOf('b', -3)])).toEqual([])
    expect(rulesWith(PEER, [restoreOf('b', -3)])).toEqual(['P4', 'P5'])
  })

  test('promises what was drawn after both were in it', () => {
    expect(rulesWith(LOCAL, [restoreOf('b', -30)])).toEqual(['P4', 'P5'])
  })

  test('promises what the slave’s KME had heard of, also when its master’s was restored', () => {
    const rules = broken((world) => {
      const [fetch] = world.fetches
      if (!fetch) throw new TypeError('a fetch')
      fetch.keys = []
      fetch.outcome = { result: 'refused', code: 'KEY_NOT_FOUND' }
      forget(world, 'b', ['fetched'])
      return { terms: LOCAL, restores: [restoreOf('a', 50)] }
    })
    expect(rules).toEqual(['P4'])
  })

  test('promises slaves at the master’s own KME theirs', () => {
    const rules = broken((world) => {
      const fetch = world.fetches.find(({ saeId }) => saeId === A2.saeId)
      if (!fetch) throw new TypeError('a fetch')
      fetch.keys = []
      fetch.outcome = { result: 'refused', code: 'KEY_NOT_FOUND' }
      return { terms: LOCAL, restores: [restoreOf('b', 400)] }
    })
    expect(rules).toEqual(['P4'])
  })
})

describe('with confirm: local P6', () => {
  const rulesWith = (restore: Restore, told: boolean) =>
    broken((world) => {
      if (!told) neverTold(world)
      issueAgain(world, 10_000)
      return { terms: LOCAL, restores: [restore] }
    })

  test('does not promise bits that only a store knew of which was copied back', () => {
    expect(rulesWith(restoreOf('a', 50, 'hand'), false)).toEqual([])
  })

  test.each([
    ['the peer had heard of them', restoreOf('a', 50, 'hand'), true],
    ['the store was restored by the command', restoreOf('a', 50, 'command'), false],
    [
      'the copy was made after them',
      { ...restoreOf('a', 50, 'hand'), copiedMs: FIRST_ENDED_MS + 1 },
      false,
    ],
    ['the other store was copied back', restoreOf('b', 50, 'hand'), false],
  ] as const)('promises the others: %s', (_what, restore, told) => {
    expect(rulesWith(restore, told)).toContain('P6')
  })
})

describe('with confirm: local as with confirm: peer', () => {
  test.each([
    [
      'P1',
      (world: World) => {
        deliver(world, 'b', 'b1', [A2], [[...world.bytes.values()][0]!])
      },
    ],
    [
      'P2',
      (world: World) => {
        const fetch = world.fetches[0]!
        const keyId = fetch.keys[0]?.keyId ?? ''
        const keys = world.recorder.see([{ key_ID: keyId, key: randomKey() }])
        fetch.keys = [...keys, ...fetch.keys.slice(1)]
      },
    ],
    ['P3', (world: World) => world.fetches.push({ ...world.fetches[0]!, saeId: A1.saeId })],
    [
      'P5',
      (world: World) => {
        forget(world, 'a', ['delivered'])
      },
    ],
    [
      'P5',
      (world: World) => {
        forget(world, 'b', ['held'])
      },
    ],
    [
      'P5',
      (world: World) => {
        forget(world, 'b', ['fetched'])
      },
    ],
  ] as const)('%s is broken by what breaks it there', (rule, plant) => {
    const rulesWith = (terms: Evidence['terms']) =>
      broken((world) => {
        plant(world)
        return { terms }
      })
    expect(rulesWith(LOCAL)).toContain(rule)
    expect(rulesWith(LOCAL)).toEqual(rulesWith(PEER))
  })

  test('P7 and P8 are broken by what breaks them there', () => {
    expect(
      broken(() => ({ terms: LOCAL, leaks: [{ where: 'the log of kme-a', form: 'hex' }] })),
    ).toEqual(['P7'])
    expect(
      broken((world) => {
        const { stores } = evidenceOf(world)
        return { terms: LOCAL, stores: { ...stores, a: { ...stores.a, unconfirmed: 1 } } }
      }),
    ).toEqual(['P8'])
  })
})
