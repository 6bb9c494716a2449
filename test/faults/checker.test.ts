import { describe, expect, test } from '@jest/globals'
import { check } from './checker/check.ts'
import type { Evidence, StoreFacts } from './checker/evidence.ts'
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
  withBytes,
} from './checker-fixture.ts'
import type { Outcome, Restore, SiteName } from './record.ts'

const rulesOf = (evidence: Evidence): readonly string[] => [
  ...new Set(check(evidence).map(({ rule }) => rule)),
]

/** The promises that are broken once `plant` has done its work. */
const broken = (plant: (world: World) => Partial<Evidence> | undefined): readonly string[] => {
  const world = goodWorld()
  const changes = plant(world)
  return rulesOf(evidenceOf(world, changes))
}

const first = <T>(list: readonly T[]): T => {
  const [one] = list
  if (one === undefined) throw new TypeError('an empty list')
  return one
}

const keyOf = (world: World): Buffer => first([...world.bytes.values()])

const storesWith = (
  world: World,
  change: (a: StoreFacts) => StoreFacts,
): Pick<Evidence, 'stores'> => {
  const { stores } = evidenceOf(world)
  return { stores: { ...stores, a: change(stores.a) } }
}

const NOT_FOUND: Outcome = { result: 'refused', code: 'KEY_NOT_FOUND' }
const LATER: Outcome = { result: 'refused', code: 'NOT_READY' }
const LOST: Outcome = { result: 'lost' }

const restoreOf = (
  site: SiteName,
  copiedMs: number,
  resumedMs: number,
  by: Restore['by'] = 'hand',
): Restore => ({ site, by, copiedMs, resumedMs, agreedMs: resumedMs + 10 })

test('a run in which all is well breaks no promise', () => {
  expect(broken(() => undefined)).toEqual([])
})

describe('P1, no bit under two key IDs', () => {
  test('is broken by the same bytes under another key ID', () => {
    expect(
      broken((world) => {
        deliver(world, 'b', 'b1', [A2], [keyOf(world)])
        return undefined
      }),
    ).toEqual(['P1'])
  })

  test.each([1, 8, 17, 24])(
    'is broken by a key that begins with the last 8 bytes and more of another, at its byte %i',
    (at) => {
      expect(
        broken((world) => {
          const overlapping = Buffer.concat([keyOf(world).subarray(at), randomKey(at)])
          deliver(world, 'b', 'b1', [A2], [overlapping])
          return undefined
        }),
      ).toEqual(['P1'])
    },
  )

  test('is broken by two keys of one delivery that share bytes', () => {
    expect(
      broken((world) => {
        const key = randomKey()
        deliver(world, 'b', 'b1', [A2], [key, Buffer.concat([randomKey(5), key.subarray(0, 12)])])
        return undefined
      }),
    ).toEqual(['P1'])
  })

  test('is broken by a key ID that two masters got', () => {
    const rules = broken((world) => {
      const draw = first(world.draws)
      world.draws.push({ ...draw, keys: draw.keys.slice(0, 1) })
      return undefined
    })
    expect(rules).toContain('P1')
  })
})

describe('P2, the same bytes at both ends', () => {
  test('is broken by a slave that got other bytes', () => {
    expect(
      broken((world) => {
        const fetch = first(world.fetches)
        const { keyId } = first(fetch.keys)
        const keys = world.recorder.see([{ key_ID: keyId, key: randomKey() }])
        fetch.keys = [...keys, ...fetch.keys.slice(1)]
        return undefined
      }),
    ).toContain('P2')
  })

  test('is broken by the bytes of another key of the same delivery', () => {
    expect(
      broken((world) => {
        const fetch = world.fetches.at(-1)
        const [one, two] = fetch?.keys ?? []
        if (!fetch || !one || !two) throw new TypeError('two keys')
        fetch.keys = [
          { ...one, fingerprint: two.fingerprint },
          { ...two, fingerprint: one.fingerprint },
        ]
        return undefined
      }),
    ).toEqual(['P2'])
  })

  test('is broken by an answer with another key ID than was asked for', () => {
    expect(
      broken((world) => {
        const fetch = first(world.fetches)
        fetch.keys = fetch.keys.toReversed()
        return undefined
      }),
    ).toEqual(['P2'])
  })
})

describe('P3, only the named, each once', () => {
  test('is broken by an SAE that the delivery does not name', () => {
    expect(
      broken((world) => {
        const fetch = first(world.fetches)
        world.fetches.push({ ...fetch, saeId: 'b2' })
        world.audit.b.push({
          ...first(world.audit.b.filter(({ action }) => action === 'fetched')),
          sequence: world.audit.b.length + 1,
          saes: ['b2'],
        })
        return undefined
      }),
    ).toEqual(['P3'])
  })

  test('is broken by a slave that got a key twice', () => {
    expect(
      broken((world) => {
        const fetch = first(world.fetches)
        world.fetches.push({ ...fetch })
        const row = first(world.audit.b.filter(({ action }) => action === 'fetched'))
        world.audit.b.push({ ...row, sequence: world.audit.b.length + 1 })
        return undefined
      }),
    ).toEqual(['P3'])
  })

  test('is broken by a key that was taken twice, whoever saw an answer, or repeated without a window', () => {
    for (const action of ['fetched', 'redelivered'] as const) {
      expect(
        broken((world) => {
          const row = first(world.audit.b.filter((one) => one.action === 'fetched'))
          world.audit.b.push({ ...row, action, sequence: world.audit.b.length + 1 })
          return undefined
        }),
      ).toEqual(['P3'])
    }
  })

  test('is broken by a key that was handed out as another master’s', () => {
    expect(
      broken((world) => {
        first(world.fetches).masterId = 'a2'
        return undefined
      }),
    ).toEqual(['P3'])
  })
})

describe('P4, every slave can', () => {
  test.each([
    ['was told that there is no such key', [NOT_FOUND]],
    ['was told so before it got the key', [NOT_FOUND, { result: 'answered' }]],
    ['was told to come later, whenever it came', [LATER, LATER]],
    ['never asked', []],
    ['met nobody', [{ result: 'unsent' }]],
  ] as readonly (readonly [string, readonly Outcome[]])[])(
    'is broken by a slave that %s',
    (_what, outcomes) => {
      const rules = broken((world) => {
        const [fetch, ...others] = world.fetches
        if (!fetch) throw new TypeError('a fetch')
        const tries = outcomes.map((outcome) => ({
          ...fetch,
          outcome,
          keys: outcome.result === 'answered' ? fetch.keys : [],
        }))
        world.fetches.splice(0, Infinity, ...tries, ...others)
        return undefined
      })
      expect(rules).toEqual(['P4'])
    },
  )

  test('counts a fetch whose answer was lost as fetched', () => {
    expect(
      broken((world) => {
        const fetch = first(world.fetches)
        fetch.keys = []
        fetch.outcome = LOST
        world.fetches.splice(1, 0, { ...fetch, outcome: NOT_FOUND })
        return undefined
      }),
    ).toEqual([])
  })

  test('counts a refusal as fetched only where nobody could know what the store had taken', () => {
    const rulesWith = (toMs: number) =>
      broken((world) => {
        const fetch = first(world.fetches)
        fetch.keys = []
        fetch.outcome = LATER
        world.fetches.splice(1, 0, { ...fetch, outcome: NOT_FOUND, startedMs: 500, endedMs: 510 })
        return { doubts: [{ site: 'b', fromMs: 0, toMs }] }
      })
    expect(rulesWith(100)).toEqual([])
    expect(rulesWith(10)).toEqual(['P4'])
  })

  test('does not promise what was drawn before a restore of the slave’s KME, and all that came after', () => {
    const rulesWith = (resumedMs: number) =>
      broken((world) => {
        const fetch = first(world.fetches)
        fetch.keys = []
        fetch.outcome = NOT_FOUND
        return { restores: [restoreOf('b', -20, resumedMs)] }
      })
    expect(rulesWith(5)).toEqual([])
    expect(rulesWith(-10)).toEqual(['P4'])
  })
})

describe('P5, durable before the answer', () => {
  test.each([
    ['delivered', 'a'],
    ['held', 'b'],
    ['fetched', 'b'],
  ] as const)('is broken by an answer without its row %s in the store of %s', (action, site) => {
    expect(
      broken((world) => {
        const rows = world.audit[site]
        const at = rows.findIndex((row) => row.action === action)
        rows.splice(at, 1)
        for (const [i, row] of rows.entries()) row.sequence = i + 1
        return undefined
      }),
    ).toEqual(['P5'])
  })

  test('is broken by a row that tells of another number of keys, or of other slaves', () => {
    for (const change of [{ keyCount: 1 }, { saes: ['b2'] }]) {
      expect(
        broken((world) => {
          Object.assign(first(world.audit.a), change)
          return undefined
        }),
      ).toEqual(['P5'])
    }
  })

  test('is not judged for what a store forgot when it was put back', () => {
    expect(
      broken((world) => {
        const { keys } = first(world.draws)
        const deliveryId = deliveryOf(first(keys).keyId)
        const rows = world.audit.a.filter((row) => row.deliveryId !== deliveryId)
        for (const [i, row] of rows.entries()) row.sequence = i + 1
        world.audit.a.splice(0, Infinity, ...rows)
        return { restores: [restoreOf('a', -5, 50)] }
      }),
    ).toEqual([])
  })
})

describe('P6, nothing again after a restore', () => {
  test('is broken by bytes that were issued before the restore', () => {
    expect(
      broken((world) => {
        deliver(world, 'b', 'b1', [A2], [keyOf(world)], 10_000)
        return { restores: [restoreOf('b', 1_000, 2_000)] }
      }),
    ).toEqual(['P6'])
  })

  test('is another promise than P1, which bytes twice before the restore break', () => {
    expect(
      broken((world) => {
        deliver(world, 'b', 'b1', [A2], [keyOf(world)], 500)
        return { restores: [restoreOf('a', 1_000, 2_000)] }
      }),
    ).toEqual(['P1'])
  })
})

test('P7 is broken by key bytes that were found somewhere', () => {
  expect(broken(() => ({ leaks: [{ where: 'the log of kme-a', form: 'hex' }] }))).toEqual(['P7'])
})

describe('P8, the books', () => {
  test.each([
    ['a ledger whose states do not add up', (a) => withBytes(a, 'dropped', 1)],
    [
      'counters that are not what the rows hold',
      (a) => withBytes(withBytes(a, 'ownLane', 8), 'otherLane', -8),
    ],
    ['less than nothing', (a) => withBytes(withBytes(a, 'expired', -8), 'delivered', 8)],
    [
      'less delivered than clients have',
      (a) => withBytes(withBytes(a, 'delivered', -8), 'dropped', 8),
    ],
    ['something still owed', (a) => ({ ...a, unconfirmed: 1 })],
    ['a drop still owed', (a) => ({ ...a, pendingDrops: 1 })],
    ['another epoch', (a) => ({ ...a, epoch: null })],
    [
      'a lane that the other end has otherwise',
      (a) => ({
        ...a,
        lanes: { ...a.lanes, verifier: { ...a.lanes.verifier, consumed: [] } },
      }),
    ],
  ] as readonly (readonly [string, (a: StoreFacts) => StoreFacts])[])(
    'are off with %s',
    (_what, change) => {
      expect(broken((world) => storesWith(world, change))).toEqual(['P8'])
    },
  )
})

describe('beside the promises', () => {
  test('a database that is not whole is found', () => {
    expect(
      broken((world) => storesWith(world, (a) => ({ ...a, integrity: 'row 3 missing' }))),
    ).toEqual(['store'])
  })

  test('a row of the audit that was changed later is found', () => {
    expect(
      broken((world) =>
        storesWith(world, (a) => ({
          ...a,
          audit: a.audit.map((row, i) => (i === 1 ? { ...row, atMs: 1 } : row)),
        })),
      ),
    ).toEqual(['store'])
  })

  test('a gap in the audit, and a delivery that is in it twice, are found', () => {
    expect(
      broken((world) => {
        const last = world.audit.a.at(-1)
        if (last) last.sequence += 1
        return undefined
      }),
    ).toEqual(['store'])
    expect(
      broken((world) => {
        const { audit } = world
        const held = first(audit.b.filter(({ action }) => action === 'held'))
        audit.b.push({ ...held, sequence: audit.b.length + 1 })
        return undefined
      }),
    ).toContain('store')
  })

  test('what a KME should not have written, and an answer that breaks the standard, are found', () => {
    expect(broken(() => ({ complaints: ['kme-a: at file:1:2'] }))).toEqual(['behaviour'])
    expect(
      broken((world) => {
        const draw = first(world.draws)
        world.draws.push({ ...draw, keys: [], outcome: { result: 'broken', message: 'no JSON' } })
        return undefined
      }),
    ).toEqual(['behaviour'])
  })

  test('a proper request that is refused otherwise than for now is found', () => {
    const rulesWith = (code: string) =>
      broken((world) => {
        const outcome = { result: 'refused', code } as const
        world.draws.push({ ...first(world.draws), keys: [], outcome })
        return undefined
      })
    expect(rulesWith('BAD_REQUEST')).toEqual(['behaviour'])
    expect(rulesWith('NOT_READY')).toEqual([])
  })

  test('two deliveries to one SAE are told apart', () => {
    expect(
      broken((world) => {
        deliver(world, 'b', 'b1', [A1], [randomKey()])
        deliver(world, 'a', 'a2', [B1], [randomKey()])
        return undefined
      }),
    ).toEqual([])
  })
})
