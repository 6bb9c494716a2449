import { describe, expect, test } from '@jest/globals'
import { type LogOptions, createLog, createObserver } from '../src/log.ts'
import type { KmeEvent } from '../src/ports/observer.ts'

const AT = '2026-01-02T03:04:05.678Z'

const collect = (options: Partial<LogOptions> = {}) => {
  const lines: string[] = []
  const write = (line: string): void => {
    lines.push(line)
  }
  const all: LogOptions = { level: 'debug', write, wallMs: () => Date.parse(AT), ...options }
  return { lines, options: all }
}

/** Events with what the type forbids: the log is the last line of defence. */
const withFields = (fields: Record<string, unknown>): KmeEvent => ({
  level: 'info',
  name: 'a.b',
  message: 'm',
  fields: fields as NonNullable<KmeEvent['fields']>,
})

const CANARY = Buffer.from('canary-key-bytes')

describe('The log', () => {
  test('writes one JSON object per event', () => {
    const { lines, options } = collect()
    createLog(options)({ level: 'info', name: 'link.up', message: 'up', fields: { bytes: 1 } })
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { at: AT, level: 'info', event: 'link.up', message: 'up', fields: { bytes: 1 } },
    ])
  })

  test('leaves out what is less severe than its level', () => {
    const { lines, options } = collect({ level: 'warn' })
    const log = createLog(options)
    for (const level of ['debug', 'info', 'warn', 'error'] as const) {
      log({ level, name: 'x', message: level })
    }
    expect(lines).toHaveLength(2)
  })

  test.each([
    ['a Buffer', CANARY],
    ['a typed array', new Uint8Array(CANARY)],
    ['an ArrayBuffer', new Uint8Array(CANARY).buffer],
    ['a DataView', new DataView(new ArrayBuffer(8))],
    ['bytes inside', { deep: [{ deeper: CANARY }] }],
    ['a Buffer that went through JSON', JSON.parse(JSON.stringify(CANARY)) as unknown],
  ])('refuses %s', (_, value) => {
    const strict = collect({ onBytes: 'throw' })
    expect(() => {
      createLog(strict.options)(withFields({ value }))
    }).toThrow(TypeError)
    const { lines, options } = collect()
    createLog(options)(withFields({ value }))
    expect(lines.join()).toContain('[bytes refused]')
    expect(lines.join()).not.toMatch(/canary|99,97,110|Y2FuYXJ5/)
  })

  test('refuses bytes also below its level, so that tests find them', () => {
    const { options } = collect({ level: 'error', onBytes: 'throw' })
    expect(() => {
      createLog(options)(withFields({ value: CANARY }))
    }).toThrow(TypeError)
  })

  test('escapes what a terminal or a reader of lines would act upon', () => {
    const { lines, options } = collect()
    const evil = 'a\nb\r\u001b[31m\u0000\u007f\u009b\u2028\u202e\ufeff'
    createLog(options)({ level: 'info', name: 'x', message: evil, fields: { evil } })
    expect(lines).toHaveLength(1)

    expect(lines[0]).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u202e\ufeff]/)
    expect((JSON.parse(lines[0] ?? '') as { message: string }).message).toBe(evil)
  })

  test('takes what JSON cannot hold, and cuts what is endless', () => {
    const loop: Record<string, unknown> = {}
    loop['loop'] = loop
    const { lines, options } = collect()
    const long = 'x'.repeat(100_000)
    const error = new Error('reason')
    createLog(options)(withFields({ loop, long, big: 1n, nothing: undefined, nan: NaN, error }))
    expect(lines).toHaveLength(1)
    expect(lines[0]?.length).toBeLessThan(6000)
    expect(lines[0]).toContain('"reason"')
  })
})

describe('The observer', () => {
  const alarm = {
    name: 'peer-restored',
    severity: 'major',
    linkId: 'a-b',
    message: 'look',
  } as const

  test('keeps an alarm until it is cleared for the same subject', () => {
    const { lines, options } = collect({ level: 'info' })
    const observer = createObserver(options)
    observer.alarm(alarm)
    observer.alarm(alarm)
    observer.alarm({ ...alarm, linkId: 'a-c' })
    expect(observer.standing()).toEqual([
      { ...alarm, since: AT, times: 2 },
      { ...alarm, linkId: 'a-c', since: AT, times: 1 },
    ])
    observer.clear('peer-restored', { linkId: 'a-b' })
    observer.clear('peer-restored', { linkId: 'a-b' })
    expect(observer.standing().map(({ linkId }) => linkId)).toEqual(['a-c'])
    // Raised twice with different subjects, cleared once: repetitions are no news.
    expect(lines).toHaveLength(3)
  })

  test('counts events by name, also those below the level', () => {
    const observer = createObserver(collect({ level: 'error' }).options)
    observer.event({ level: 'debug', name: 'x', message: '' })
    observer.event({ level: 'debug', name: 'x', message: '' })
    observer.alarm(alarm)
    expect(observer.counters()).toEqual(
      new Map([
        ['x', 2],
        ['alarm.peer-restored', 1],
      ]),
    )
  })
})
