import { describe, expect, test } from '@jest/globals'
import { BUDGETS, failuresIn, judge } from '../../bench/budgets.ts'
import { budgetTable, failureLine, jsonOf, reportOf } from '../../bench/report.ts'
import { type Findings, nothingFound } from '../../bench/results.ts'
import { speedOf } from '../../bench/simulator.ts'
import { caseResult, everythingMet, ofKme, resultsOf, slice, stallsOf } from './findings.ts'

const missedIn = (found: Findings): string[] =>
  failuresIn(judge(found), false).map(({ budget }) => budget.name)

const valueOf = (found: Findings, name: string): number | null | undefined =>
  judge(found).find(({ budget }) => budget.name === name)?.value

const kmeSlices = (perSecond: number, cpuUs: number[]) => [ofKme('kme-a', slice(perSecond, cpuUs))]

/** Each spoils one budget, by a little. */
const SPOILED: readonly (readonly [string, (found: Findings) => Partial<Findings>])[] = [
  ['Get key at 64 connections', ({ cases }) => ({ cases: slowed(cases, 'get-key', 64, 499) })],
  ['Get key at 16 connections', ({ cases }) => ({ cases: slowed(cases, 'get-key', 16, 349) })],
  [
    'Get key with key IDs at 64 connections',
    ({ cases }) => ({ cases: slowed(cases, 'get-key-with-ids', 64, 499) }),
  ],
  [
    'Get key with key IDs at 16 connections',
    ({ cases }) => ({ cases: slowed(cases, 'get-key-with-ids', 16, 499) }),
  ],
  // One synced write is 0.5 ms, one exchange 1 ms.
  ['Get key at 1 connection', ({ cases }) => ({ cases: slowed(cases, 'get-key', 1, 1000 / 3.01) })],
  [
    'CPU time per Get key',
    ({ cases }) => ({ cases: slowed(cases, 'get-key', 64, 900, [100, 61]) }),
  ],
  [
    '128 keys per call',
    ({ manyKeys }) => ({
      manyKeys: manyKeys && { ...manyKeys, many: kmeSlices((15 * 1000) / 128 - 1, [1, 1]) },
    }),
  ],
  [
    'Get key with very many keys in the lanes',
    ({ pool }) => ({ pool: pool && { ...pool, many: kmeSlices(1000 / 1.21, [1, 1]) } }),
  ],
  [
    'CPU time per full mTLS handshake',
    ({ handshakes }) => ({ handshakes: handshakes && { ...handshakes, kme: [slice(9, [3336])] } }),
  ],
  [
    '1,000 SAEs that connect again at once',
    ({ storm }) => ({
      storm: storm && { ...storm, kme: { ...storm.kme, errors: 1, firstError: 'no' } },
    }),
  ],
  [
    'memory of a KME after many deliveries',
    ({ memory }) => ({
      memory: memory && { ...memory, a: memory.a.map(grown) },
    }),
  ],
  [
    'start with very many keys in the store',
    ({ start }) => ({ start: start && { ...start, many: [{ readyMs: 1, firstKeyMs: 2001 }] } }),
  ],
  [
    'speed of the simulator',
    ({ simulator }) => ({ simulator: simulator && { ...simulator, timesRealTime: 999 } }),
  ],
  [
    'longest stall during checkpoints',
    ({ stalls }) => ({ stalls: [stallsOf('checkpoints', 20.1, 1), ...stalls.slice(1)] }),
  ],
  [
    'longest stall during verification',
    ({ stalls }) => ({ stalls: [stallsOf('verification', 1, 20.1), ...without(stalls, 1)] }),
  ],
  [
    'longest stall during erasure',
    ({ stalls }) => ({ stalls: [stallsOf('erasure', 21, 1), ...without(stalls, 2)] }),
  ],
]

const without = <T>(list: readonly T[], index: number): readonly T[] =>
  list.filter((_, i) => i !== index)

const slowed = (
  cases: Findings['cases'],
  operation: string,
  connections: number,
  perSecond: number,
  cpuUs = [60, 40],
): Findings['cases'] =>
  cases.map((one) =>
    one.operation === operation && one.connections === connections
      ? { ...one, kme: kmeSlices(perSecond, cpuUs) }
      : one,
  )

const grown = (moment: NonNullable<Findings['memory']>['a'][number], i: number) => {
  const { rssBytes } = moment.collected
  return { ...moment, collected: { ...moment.collected, rssBytes: rssBytes + i * 0.06 * rssBytes } }
}

describe('the budgets', () => {
  test('are all met where every figure keeps its bound, also exactly', () => {
    expect(missedIn(everythingMet())).toEqual([])
    expect(judge(everythingMet()).map(({ verdict }) => verdict)).not.toContain('not measured')
  })

  test('are each spoiled by a test below', () => {
    expect(SPOILED.map(([name]) => name).sort()).toEqual(BUDGETS.map(({ name }) => name).sort())
  })

  test.each(SPOILED)('name "%s" where it alone is missed', (name, spoil) => {
    const found = everythingMet()
    expect(missedIn({ ...found, ...spoil(found) })).toEqual([name])
  })

  test('compare medians: that of the KMEs with that of the bare server', () => {
    const found = { ...nothingFound(), cases: [caseResult()] }
    expect(valueOf(found, 'Get key at 16 connections')).toBe(0.2)
    const at64 = { ...nothingFound(), cases: [caseResult({ connections: 64 })] }
    expect(valueOf(at64, 'CPU time per Get key')).toBeCloseTo(280 / 60)
    const at1 = { ...nothingFound(), cases: [caseResult({ connections: 1 })] }
    expect(valueOf(at1, 'Get key at 1 connection')).toBeCloseTo(5 / (0.5 + 1))
  })

  test('are not met by a figure that is none', () => {
    const found = everythingMet()
    const cases = slowed(found.cases, 'get-key', 64, 900).map((one) =>
      one.connections === 64 ? { ...one, bare: [slice(0, [80])] } : one,
    )
    expect(missedIn({ ...found, cases })).toContain('Get key at 64 connections')
  })

  test('that were not measured fail a complete run, and only that', () => {
    const judged = judge({ ...everythingMet(), simulator: null })
    expect(failuresIn(judged, false)).toEqual([])
    const failures = failuresIn(judged, true)
    expect(failures.map(({ budget }) => budget.name)).toEqual(['speed of the simulator'])
    expect(failures.map(failureLine)).toEqual([
      'not measured: speed of the simulator (both ends of a link of some kb/s on one core, of real time)',
    ])
    expect(failuresIn(judge(nothingFound()), true)).toHaveLength(BUDGETS.length)
  })

  test('a missed one is told with its figure and its bound', () => {
    const found = { ...nothingFound(), stalls: [stallsOf('erasure', 1, 33.333)] }
    const failures = failuresIn(judge(found), false)
    expect(failures.map(failureLine)).toEqual([
      'missed: longest stall during erasure: 33.3 ms, the budget is ≤ 20 ms (how late a timer in the event loop of a KME was at most)',
    ])
    expect(budgetTable(judge(found)).split('\n').at(-1)).toBe(
      '| longest stall during erasure | how late a timer in the event loop of a KME was at most | 33.3 ms | ≤ 20 ms | **missed** |',
    )
  })
})

describe('the report', () => {
  test('has every budget and every part, and its JSON the verdicts', () => {
    const results = resultsOf(everythingMet())
    const report = reportOf(results, judge(results))
    for (const { name } of BUDGETS) expect(report).toContain(`| ${name} |`)
    for (const text of [
      '2 cores of CPU',
      'in 1235 s',
      '64,000 keys/s with 128',
      '3000 µs of CPU time at the KME',
      '1,000 SAEs, each with its own certificate',
      '1.11 ms with 10,000,000.',
      '| b | 1,000,000 | 220 | 110 | 1 | 1 |',
      '100,000 s of its key in 2.00 s of CPU time',
      '| 450 / 500 | 2.00 / 1.00 = **2.00** |',
    ]) {
      expect(report).toContain(text)
    }
    expect(jsonOf(results, judge(results))).toMatchObject({
      seconds: 1234.5,
      budgets: expect.arrayContaining([
        expect.objectContaining({ name: 'speed of the simulator', atLeast: 1000, verdict: 'met' }),
      ]),
    })
  })

  test('leaves out what was not measured', () => {
    const results = resultsOf(nothingFound())
    const report = reportOf(results, judge(results))
    expect(report).toContain('not measured')
    for (const heading of ['### Closed loop', '### Everything else', 'at a fixed rate']) {
      expect(report).not.toContain(heading)
    }
  })
})

test('the speed of the simulator is time of its own clock per second of CPU time', () => {
  const run = { secretKeyRateBps: 6000, keyBits: 12_000_000, seconds: 9, cpuSeconds: 2 }
  expect(speedOf(run).timesRealTime).toBe(1000)
})
