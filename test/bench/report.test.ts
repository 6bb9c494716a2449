import { describe, expect, test } from '@jest/globals'
import { cpuTicksOf } from '../../bench/cpu-time.ts'
import { threeFigures } from '../../bench/figures.ts'
import { PARTS, readOptions } from '../../bench/options.ts'
import { tableOf } from '../../bench/report.ts'
import { errorsIn, firstErrorIn, nothingFound } from '../../bench/results.ts'
import { replaceSection } from '../../bench/section.ts'
import { caseResult, everythingMet, slice } from './findings.ts'

describe('the table', () => {
  test('has medians over the slices, their ratio, and the CPU time of both KMEs as a sum', () => {
    const row = tableOf([caseResult()]).split('\n')[2]
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

  test('errors count wherever they came, also at the bare server', () => {
    const failed = slice(10, [1], { errors: 2, firstError: 'status 503' })
    const cases = [caseResult({ bare: [slice(1, [1]), failed] }), caseResult({ bare: [failed] })]
    expect(errorsIn({ ...nothingFound(), cases })).toBe(4)
    expect(firstErrorIn({ ...nothingFound(), cases })).toBe('status 503')
    const { handshakes, ...found } = everythingMet()
    expect(errorsIn({ ...found, handshakes })).toBe(0)
    expect(firstErrorIn({ ...found, handshakes })).toBeNull()
    const spoiled = handshakes && { ...handshakes, kme: [failed] }
    expect(errorsIn({ ...found, handshakes: spoiled })).toBe(2)
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

  test('measures every part, unless told otherwise', () => {
    for (const args of [[], ['--quick'], ['--check']]) {
      const plan = readOptions(args)?.plan
      expect([...(plan?.parts ?? [])]).toEqual([...PARTS])
      expect(plan?.isComplete).toBe(true)
    }
    const some = readOptions(['--only', 'memory', '--only', 'get-key:8'])?.plan
    expect(some?.isComplete).toBe(false)
    expect([...(some?.parts ?? [])]).toEqual(['memory'])
    expect(some?.cases).toEqual([{ operation: 'get-key', connections: 8 }])
  })

  test('the open loop brings the cases that tell it the capacity, once', () => {
    const plan = readOptions(['--only', 'get-key:64', '--only', 'open-loop'])?.plan
    expect(plan?.cases).toEqual([
      { operation: 'get-key', connections: 64 },
      { operation: 'get-key-with-ids', connections: 64 },
    ])
  })

  test('a quick run is given up after five minutes', () => {
    expect(readOptions(['--quick'])?.plan.limitMs).toBe(300_000)
  })

  test('says how to repeat the run, without the names of files and without its judging', () => {
    const args = ['--only', 'get-key:8', '--out', 'x.json', '--quick', '--check']
    const options = readOptions(args)
    expect(options?.command).toBe('npm run bench -- --quick --only get-key:8')
    expect(options?.check).toBe(true)
    expect(readOptions([])?.check).toBe(false)
  })

  test('both KMEs are asked equally often', () => {
    for (const args of [[], ['--quick']]) {
      expect((readOptions(args)?.plan.pace.rounds ?? 1) % 2).toBe(0)
    }
  })

  test.each(['get-key', 'get-key:0', 'get-key:1e2', 'get-key:201', 'put-key:1'])(
    'refuses the case %s',
    (text) => {
      expect(() => readOptions(['--only', text])).toThrow('--only')
    },
  )
})
