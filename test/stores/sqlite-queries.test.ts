import { expect, jest, test } from '@jest/globals'
import { Database } from '../../src/stores/sqlite/database.ts'
import { makeSqliteFixture } from './sqlite-fixture.ts'

interface Planned {
  readonly sql: string
  readonly steps: readonly string[]
}

const isPlanned = (sql: string): boolean => /^\s*(SELECT|INSERT|UPDATE|DELETE|WITH)/.test(sql)

/** How SQLite carries out what the store asks it, statement by statement. */
const plansOfTheStore = async (): Promise<readonly Planned[]> => {
  await using fixture = await makeSqliteFixture()
  await (await fixture.open()).close()
  // A store that is there already: statements of migrations are not among them.
  const prepare = jest.spyOn(Database.prototype, 'prepare')
  await (await fixture.open()).close()
  const statements = [...new Set(prepare.mock.calls.map(([sql]) => sql))].filter(isPlanned)
  prepare.mockRestore()
  return fixture.edit((db) =>
    statements.map((sql) => {
      const values = Array.from(sql.matchAll(/\?/g), () => null)
      const rows = db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...values)
      return {
        sql: sql.replaceAll(/\s+/g, ' ').trim(),
        steps: (rows as readonly { readonly detail: string }[]).map(({ detail }) => detail),
      }
    }),
  )
}

/**
 * What may be gone through from end to end: tables that stay small, one row of a long one by its key,
 * and the search for who holds a range that was claimed twice, which no sound peer causes.
 */
const SCANS = [
  /^SCAN (data_key|former_generation|link|own_sae)\b/,
  /^SCAN (ended_run|audit)\b.* LIMIT 1$/,
  /^SCAN delivery_group\b.* start_offset < \? AND start_offset \+ length > \?$/,
]

test('no statement of the store goes through a table that grows with its use', async () => {
  const plans = await plansOfTheStore()
  expect(plans.length).toBeGreaterThan(80)
  const scans = plans.flatMap(({ sql, steps }) =>
    steps.filter((step) => step.startsWith('SCAN')).map((step) => `${step} <- ${sql}`),
  )
  expect(scans.filter((scan) => !SCANS.some((allowed) => allowed.test(scan)))).toEqual([])
})

test('what is over is found, and when the next is, by an index and without sorting', async () => {
  const plans = await plansOfTheStore()
  for (const [asked, index] of [
    [/WHERE expires_ms <= \?/, 'delivery_group_expiry'],
    [/min\(expires_ms\) AS expires_ms FROM delivery_group/, 'delivery_group_expiry'],
    [/WHERE ends_ms <= \?/, 'redelivery_end'],
    [/min\(ends_ms\) AS ends_ms FROM redelivery/, 'redelivery_end'],
  ] as const) {
    const found = plans.filter(({ sql }) => asked.test(sql))
    expect(found).not.toEqual([])
    for (const { steps } of found) {
      expect(steps.join('; ')).toMatch(new RegExp(`^SEARCH .*INDEX ${index}\\b`))
      expect(steps.join('; ')).not.toMatch(/TEMP B-TREE/)
    }
  }
})
