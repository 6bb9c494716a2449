import { expect, test } from '@jest/globals'
import { EpochSweep } from '../../src/kme/epoch-sweep.ts'
import { KmeError } from '../../src/errors.ts'
import { FakeClock } from '../helpers/fake-clock.ts'
import { RecordingObserver } from '../helpers/recording-observer.ts'

/** Rows of epochs that ended. */
class FakeEndedStore {
  rows = 0
  failure: Error | null = null
  /** How many rows each step erased at most. */
  readonly limits: number[] = []

  async sweepEnded(limit: number): Promise<boolean> {
    this.limits.push(limit)
    if (this.failure) throw this.failure
    this.rows = Math.max(0, this.rows - limit)
    return this.rows > 0
  }
}

const start = () => {
  const clock = new FakeClock()
  const store = new FakeEndedStore()
  const observer = new RecordingObserver()
  const sweep = new EpochSweep({ store, clock, observer })
  sweep.start()
  return { clock, store, observer, sweep }
}

test('what ended is erased in steps of bounded size, with pauses between them', async () => {
  const { clock, store, sweep } = start()
  await clock.advanceAsync(0)
  store.limits.splice(0)
  store.rows = 10_000
  await clock.advanceAsync(5_000)
  const first = store.limits.length
  expect(first).toBeGreaterThan(0)
  expect(store.rows).toBeGreaterThan(0)
  await clock.advanceAsync(5_000)
  expect(store.rows).toBe(0)
  expect(store.limits.length).toBeGreaterThan(first + 5)
  expect(Math.max(...store.limits)).toBeLessThanOrEqual(1_000)
  await sweep[Symbol.asyncDispose]()
})

test('with nothing to erase it looks again only after seconds', async () => {
  const { clock, store, sweep } = start()
  await clock.advanceAsync(60_000)
  expect(store.limits.length).toBeLessThanOrEqual(13)
  await sweep[Symbol.asyncDispose]()
})

test('a failure is told, and what is left is erased when the store works again', async () => {
  const { clock, store, observer, sweep } = start()
  store.rows = 600
  store.failure = new KmeError('STORE_FAILED', 'the disk is full')
  await clock.advanceAsync(5_000)
  expect(observer.events.map(({ name }) => name)).toContain('epoch.sweep.failed')
  expect(store.rows).toBe(600)
  store.failure = null
  await clock.advanceAsync(10_000)
  expect(store.rows).toBe(0)
  await sweep[Symbol.asyncDispose]()
})

test('once it is stopped it asks nothing more of the store', async () => {
  const { clock, store, sweep } = start()
  store.rows = 10_000
  await clock.advanceAsync(100)
  await sweep[Symbol.asyncDispose]()
  const asked = store.limits.length
  await clock.advanceAsync(60_000)
  expect(store.limits).toHaveLength(asked)
  expect(clock.pendingTimers).toBe(0)
})
