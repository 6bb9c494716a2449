import { describe, expect, test } from '@jest/globals'
import type { CaseResult, KmeSlice } from '../../bench/cases.ts'
import { cpuTicksOf } from '../../bench/cpu-time.ts'
import type { Slice } from '../../bench/load.ts'
import { readOptions } from '../../bench/options.ts'
import { errorsIn, firstErrorIn, tableOf, threeFigures } from '../../bench/report.ts'
import { replaceSection } from '../../bench/section.ts'

const slice = (requestsPerSecond: number, cpuUsPerRequest: number[], more?: Partial<Slice>) => ({
  seconds: 1,
  requests: requestsPerSecond,
  requestsPerSecond,
  p50Ms: 1000 / requestsPerSecond,
  p99Ms: 2000 / requestsPerSecond,
  maxMs: 3000 / requestsPerSecond,
  cpuUsPerRequest,
  errors: 0,
  firstError: null,
  ...more,
})

const ofKme = (asked: string, one: Slice): KmeSlice => ({ asked, ...one })

const result = (more?: Partial<CaseResult>): CaseResult => ({
  operation: 'get-key',
  connections: 16,
  kme: [
    ofKme('kme-a', slice(100, [300, 100])),
    ofKme('kme-b', slice(300, [100, 60])),
    ofKme('kme-a', slice(200, [200, 80])),
  ],
  bare: [slice(1000, [50]), slice(1000, [70]), slice(400, [60])],
  ...more,
})

describe('the table', () => {
  test('has medians over the slices, their ratio, and the CPU time of both KMEs as a sum', () => {
    const row = tableOf([result()]).split('\n')[2]
    expect(row).toBe(
      '| Get key | 16 | 200 / 1000 = **0.20** | 0.10 to 0.50 | 5.00 / 1.00 = **5.00** | 10.0 / 2.00 = **5.00** | 280 / 60.0 = **4.67** | 200 | 80.0 |',
    )
  })

  test('rounds to three figures, never to a power of ten', () => {
    expect([0.01234, 9.999, 12.34, 123.4, 123_456].map(threeFigures)).toEqual([
      '0.0123',
      '10.0',
      '12.3',
      '123',
      '123456',
    ])
    expect(threeFigures(Number.NaN)).toBe('–')
  })

  test('errors of every slice count, also those of the bare server', () => {
    const failed = slice(10, [1], { errors: 2, firstError: 'status 503' })
    const cases = [result(), result({ bare: [slice(1, [1]), failed] }), result({ bare: [failed] })]
    expect(errorsIn(cases)).toBe(4)
    expect(firstErrorIn(cases)).toBe('status 503')
    expect(errorsIn([result()])).toBe(0)
    expect(firstErrorIn([result()])).toBeNull()
  })
})

test('CPU time is read past a process name with blanks and brackets', () => {
  const numbers = Array.from({ length: 40 }, (_, i) => String(i + 4)).join(' ')
  expect(cpuTicksOf(`123 (a) b (c)) S ${numbers}`)).toBe(14 + 15)
  expect(() => cpuTicksOf('123 (node) S 1 2')).toThrow(TypeError)
})

describe('a page', () => {
  const page = 'before\n<!-- x: begin -->\nold $& text\n<!-- x: end -->\nafter\n'

  test('gets the new text between its markers and keeps the rest', () => {
    const next = replaceSection(page, 'x', 'new $& text\n')
    expect(next).toBe('before\n<!-- x: begin -->\n\nnew $& text\n\n<!-- x: end -->\nafter\n')
    expect(replaceSection(next, 'x', 'new $& text')).toBe(next)
  })

  test('without both markers, once and in order, is refused', () => {
    const begin = '<!-- x: begin -->'
    const end = '<!-- x: end -->'
    for (const bad of ['', begin, end, `${end}${begin}`, `${begin}${begin}${end}`]) {
      expect(() => replaceSection(bad, 'x', '')).toThrow('the page needs')
    }
  })
})

describe('the command line', () => {
  test('measures both calls at 1, 16 and 64 connections unless told otherwise', () => {
    const cases = readOptions(['--quick'])?.plan.cases.map(
      ({ operation, connections }) => `${operation}:${String(connections)}`,
    )
    expect(cases).toEqual([
      'get-key:1',
      'get-key:16',
      'get-key:64',
      'get-key-with-ids:1',
      'get-key-with-ids:16',
      'get-key-with-ids:64',
    ])
  })

  test('says how to repeat the run, without the names of files', () => {
    const options = readOptions(['--only', 'get-key:8', '--out', 'x.json', '--quick'])
    expect(options?.command).toBe('npm run bench -- --quick --only get-key:8')
    expect(options?.plan.cases).toEqual([{ operation: 'get-key', connections: 8 }])
  })

  test('both KMEs are asked equally often', () => {
    for (const args of [[], ['--quick']]) expect((readOptions(args)?.plan.rounds ?? 1) % 2).toBe(0)
  })

  test.each(['get-key', 'get-key:0', 'get-key:1e2', 'get-key:201', 'put-key:1'])(
    'refuses the case %s',
    (text) => {
      expect(() => readOptions(['--only', text])).toThrow('--only')
    },
  )
})
