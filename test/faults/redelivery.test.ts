import { describe, expect, test } from '@jest/globals'
import { check } from './checker/check.ts'
import type { Evidence } from './checker/evidence.ts'
import { type Mutable, type World, evidenceOf, goodWorld } from './checker-fixture.ts'
import { DEFAULT_TERMS, type Fetch, type Outcome, type Start } from './record.ts'

const WINDOW_MS = 2_000
const TERMS = { ...DEFAULT_TERMS, redeliveryWindowS: WINDOW_MS / 1000 }

/** The first fetch of the good world, of two keys by b1, began and ended then. */
const STARTED_MS = 20
const ENDED_MS = 30

const NOT_FOUND: Outcome = { result: 'refused', code: 'KEY_NOT_FOUND' }
const LATER: Outcome = { result: 'refused', code: 'NOT_READY' }
const LOST: Outcome = { result: 'lost' }

const startOf = (launchedMs: number, site: Start['site'] = 'b'): Start => ({
  site,
  launchedMs,
  readyMs: launchedMs + 500,
})

interface Planted {
  /** Of the repeated request: when, and what else than the first it is. */
  readonly atMs: number
  readonly changes?: Partial<Fetch>
  readonly starts?: readonly Start[]
  readonly terms?: Evidence['terms']
  /** Default: the row that the KME writes for it. */
  readonly action?: 'redelivered' | 'fetched' | null
}

const rulesOf = (evidence: Evidence): readonly string[] => [
  ...new Set(check(evidence).map(({ rule }) => rule)),
]

const firstFetch = (world: World): Mutable<Fetch> => {
  const [fetch] = world.fetches
  if (!fetch) throw new TypeError('a fetch')
  return fetch
}

const record = (world: World, action: 'redelivered' | 'fetched', fetch: Fetch): void => {
  const { b } = world.audit
  const row = b.find((one) => one.action === 'fetched')
  if (!row) throw new TypeError('a row')
  const saes = [fetch.saeId]
  b.push({ ...row, action, saes, keyCount: fetch.keys.length, sequence: b.length + 1 })
}

/** The promises that are broken by one more answer. */
const brokenBy = ({
  atMs,
  changes,
  starts = [],
  terms = TERMS,
  action = 'redelivered',
}: Planted) => {
  const world = goodWorld()
  const again = { ...firstFetch(world), startedMs: atMs, endedMs: atMs + 10, ...changes }
  world.fetches.push(again)
  if (action !== null) record(world, action, again)
  return rulesOf(evidenceOf(world, { terms, starts }))
}

describe('P3 with a redelivery window', () => {
  test('holds for the very same request while the window is open', () => {
    expect(brokenBy({ atMs: ENDED_MS })).toEqual([])
    expect(brokenBy({ atMs: ENDED_MS + WINDOW_MS })).toEqual([])
  })

  test('is broken by an answer after it, and by one where no window is configured', () => {
    expect(brokenBy({ atMs: ENDED_MS + WINDOW_MS + 1 })).toEqual(['P3'])
    expect(brokenBy({ atMs: ENDED_MS, terms: DEFAULT_TERMS })).toEqual(['P3'])
  })

  test('knows that a start begins the window anew, at the KME that started, before the answer is erased', () => {
    const atMs = ENDED_MS + WINDOW_MS + 1_000
    expect(brokenBy({ atMs, starts: [startOf(1_000)] })).toEqual([])
    expect(brokenBy({ atMs, starts: [startOf(1_000, 'a')] })).toEqual(['P3'])
    expect(brokenBy({ atMs: 1_500 + WINDOW_MS + 1, starts: [startOf(1_000)] })).toEqual(['P3'])
    expect(brokenBy({ atMs: 60_100, starts: [startOf(60_000)] })).toEqual(['P3'])
  })

  test.each([
    ['another SAE', { saeId: 'b2' }],
    ['another master', { masterId: 'a2' }],
  ])('is broken by the same request of %s', (_what, changes) => {
    expect(brokenBy({ atMs: ENDED_MS, changes })).toContain('P3')
  })

  test('is broken by the answer to a part of the request, and to its keys in another order', () => {
    for (const other of [
      <T>(list: readonly T[]): readonly T[] => list.slice(1),
      <T>(list: readonly T[]): readonly T[] => list.toReversed(),
    ]) {
      const world = goodWorld()
      const fetch = firstFetch(world)
      expect(fetch.keys).toHaveLength(2)
      const changes = { keyIds: other(fetch.keyIds), keys: other(fetch.keys) }
      const again = { ...fetch, ...changes, startedMs: ENDED_MS, endedMs: ENDED_MS + 10 }
      world.fetches.push(again)
      record(world, 'redelivered', again)
      expect(rulesOf(evidenceOf(world, { terms: TERMS }))).toEqual(['P3'])
    }
  })

  test('is broken by keys that were taken twice', () => {
    expect(brokenBy({ atMs: ENDED_MS, action: 'fetched' })).toEqual(['P3'])
  })

  test('is broken by a refusal in the window, not by one after it, nor by one for now', () => {
    const refused = (atMs: number, outcome: Outcome) =>
      brokenBy({ atMs, changes: { outcome, keys: [] }, action: null })
    expect(refused(ENDED_MS, NOT_FOUND)).toEqual(['P3'])
    expect(refused(STARTED_MS + WINDOW_MS - 10, NOT_FOUND)).toEqual(['P3'])
    expect(refused(STARTED_MS + WINDOW_MS, NOT_FOUND)).toEqual([])
    expect(refused(ENDED_MS, LATER)).toEqual([])
  })
})

describe('with a redelivery window', () => {
  test('P2 is broken by other bytes in the second answer', () => {
    const world = goodWorld()
    const [one, two] = firstFetch(world).keys
    if (!one || !two) throw new TypeError('two keys')
    const keys = [{ ...one, fingerprint: two.fingerprint }, two]
    expect(brokenBy({ atMs: ENDED_MS, changes: { keys } })).toContain('P2')
  })

  test('P4 is broken by the refusal of what was asked for again after its answer was lost', () => {
    const rulesWith = (terms: Evidence['terms'], atMs: number, outcome: Outcome) => {
      const world = goodWorld()
      const lost = firstFetch(world)
      const again = { ...lost, outcome, startedMs: atMs, endedMs: atMs + 10 }
      if (outcome.result === 'refused') again.keys = []
      lost.outcome = LOST
      lost.keys = []
      world.fetches.splice(1, 0, again)
      return rulesOf(evidenceOf(world, { terms }))
    }
    expect(rulesWith(TERMS, ENDED_MS, NOT_FOUND)).toEqual(['P4'])
    expect(rulesWith(TERMS, ENDED_MS + WINDOW_MS, NOT_FOUND)).toEqual([])
    expect(rulesWith(DEFAULT_TERMS, ENDED_MS, NOT_FOUND)).toEqual([])
    expect(rulesWith(TERMS, ENDED_MS, LATER)).toEqual([])
    expect(rulesWith(TERMS, ENDED_MS, { result: 'answered' })).toEqual([])
  })

  test('P5 is broken by a second answer that is not in the audit', () => {
    expect(brokenBy({ atMs: ENDED_MS, action: null })).toEqual(['P5'])
  })
})
