import { describe, expect, test } from '@jest/globals'
import { latencyOf, noSamples, runSchedule } from '../../bench/open-loop.ts'
import { getKeyRequest } from '../../bench/operations.ts'

const request = getKeyRequest('sae-b')
const schedule = {
  next: () => request,
  ratePerSecond: 200,
  windowMs: 100,
  leadInMs: 20,
  signal: new AbortController().signal,
}

describe('a schedule', () => {
  test('goes on sending while nothing is answered, and counts from when a request was due', async () => {
    const waiting: (() => void)[] = []
    const samples = noSamples()
    const planned = 24
    const exchange = () =>
      new Promise<void>((resolve) => {
        waiting.push(resolve)
        if (waiting.length === planned) for (const answer of waiting) answer()
      })
    await runSchedule({ ...schedule, exchange }, samples)
    expect(waiting).toHaveLength(planned)
    // The first four belong to the lead-in.
    expect(samples.tookMs).toHaveLength(planned - 4)
    // All were answered in one moment, so the earliest waited longest.
    const sorted = [...samples.tookMs].sort((left, right) => right - left)
    expect(samples.tookMs).toEqual(sorted)
    for (const lateMs of samples.sentLateMs) expect(lateMs).toBeGreaterThanOrEqual(0)
  })

  test('counts errors, and keeps the first', async () => {
    const samples = noSamples()
    let asked = 0
    const exchange = async (): Promise<void> => {
      asked += 1
      if (asked <= 2) throw new Error(`refused ${String(asked)}`)
    }
    await runSchedule({ ...schedule, exchange }, samples)
    const latency = latencyOf(schedule.ratePerSecond, samples)
    expect(latency).toMatchObject({ errors: 2, firstError: 'refused 1', requests: 20 })
  })

  test('that runs out of requests is none', async () => {
    const exchange = async (): Promise<void> => undefined
    const running = runSchedule({ ...schedule, next: () => null, exchange }, noSamples())
    await expect(running).rejects.toThrow('the requests of a schedule ran out')
    expect(() => latencyOf(1, noSamples())).toThrow('no request was answered')
  })
})
