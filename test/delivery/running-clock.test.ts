import { expect, test } from '@jest/globals'
import { KmeError } from '../../src/errors.ts'
import { RunningClock } from '../../src/support/running-clock.ts'
import { FakeClock } from '../helpers/fake-clock.ts'
import { RecordingObserver } from '../helpers/recording-observer.ts'

class FakeTimeStore {
  savedMs = 0
  saves = 0
  failure: Error | null = null

  async readRunningTime(): Promise<number> {
    return this.savedMs
  }

  async saveRunningTime(runningMs: number): Promise<void> {
    if (this.failure) throw this.failure
    this.savedMs = runningMs
    this.saves += 1
  }
}

const open = async (store: FakeTimeStore, clock = new FakeClock({ startMs: 123_456.75 })) => {
  const observer = new RecordingObserver()
  return { clock, observer, running: await RunningClock.open({ store, clock, observer }) }
}

test('running time begins at nothing, rises with the monotonic clock, and is whole milliseconds', async () => {
  const { clock, running } = await open(new FakeTimeStore())
  expect(running.now().runningMs).toBe(0)
  clock.advance(1500.9)
  expect(running.now().runningMs).toBe(1500)
  await running.close()
})

test('running time does not follow the wall clock', async () => {
  const { clock, running } = await open(new FakeTimeStore())
  clock.shiftWall(3_600_000)
  expect(running.now()).toEqual({ runningMs: 0, wallMs: Date.UTC(2030, 0, 1, 1) })
  await running.close()
})

test('running time is saved every ten seconds and when it closes, and goes on from there', async () => {
  const store = new FakeTimeStore()
  const first = await open(store)
  await first.clock.advanceAsync(9999)
  expect(store.saves).toBe(0)
  await first.clock.advanceAsync(25_001)
  expect(store.savedMs).toBe(30_000)
  await first.running.close()
  expect(store.savedMs).toBe(35_000)
  const second = await open(store, new FakeClock({ startMs: 5 }))
  expect(second.running.now().runningMs).toBe(35_000)
  await second.running.close()
})

test('closing twice saves once and leaves no timer', async () => {
  const store = new FakeTimeStore()
  const { clock, running } = await open(store)
  await Promise.all([running.close(), running.close()])
  expect(store.saves).toBe(1)
  expect(clock.pendingTimers).toBe(0)
})

test('a store that cannot save is told of and tried again, and does not stop the clock', async () => {
  const store = new FakeTimeStore()
  const { clock, observer, running } = await open(store)
  store.failure = new KmeError('STORE_FAILED', 'the disk is full')
  await clock.advanceAsync(10_000)
  expect(observer.events.map(({ name }) => name)).toEqual(['running-time.not-saved'])
  store.failure = null
  await clock.advanceAsync(10_000)
  expect(store.savedMs).toBe(20_000)
  store.failure = new KmeError('STORE_FAILED', 'the disk is full')
  await running.close()
  expect(running.now().runningMs).toBe(20_000)
})
