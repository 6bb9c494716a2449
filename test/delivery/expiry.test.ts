import { expect, test } from '@jest/globals'
import { DeliveryExpiry } from '../../src/delivery/expiry.ts'
import { KmeError } from '../../src/errors.ts'
import type { Moment } from '../../src/model/moment.ts'
import { FakeClock } from '../helpers/fake-clock.ts'
import { RecordingObserver } from '../helpers/recording-observer.ts'

/** Deliveries by the running time at which they expire. */
class FakeExpiryStore {
  due: number[] = []
  sweeps = 0
  looks = 0
  failure: Error | null = null

  async nextExpiry(): Promise<number | null> {
    this.looks += 1
    if (this.failure) throw this.failure
    return this.due.length === 0 ? null : Math.min(...this.due)
  }

  async expireDeliveries({ runningMs }: Moment, limit: number): Promise<number> {
    this.sweeps += 1
    const over = this.due.filter((dueMs) => dueMs <= runningMs).slice(0, limit)
    this.due = this.due.filter((dueMs) => dueMs > runningMs || !over.includes(dueMs))
    return over.length
  }
}

const start = (due: readonly number[]) => {
  const clock = new FakeClock()
  const store = new FakeExpiryStore()
  store.due = [...due]
  const observer = new RecordingObserver()
  const now = () => ({ runningMs: clock.monotonicMs(), wallMs: clock.wallMs() })
  const expiry = new DeliveryExpiry({ store, clock, now, observer })
  expiry.start()
  return { clock, store, observer, expiry }
}

test('a delivery ends when its time is over and not before', async () => {
  const { clock, store, expiry } = start([3000])
  await clock.advanceAsync(2999)
  expect(store.due).toEqual([3000])
  await clock.advanceAsync(1)
  expect(store.due).toEqual([])
  await expiry.stop()
})

test('a delivery that came after the last look ends at most five seconds late', async () => {
  const { clock, store, expiry } = start([])
  await clock.advanceAsync(100)
  store.due = [200]
  await clock.advanceAsync(5000)
  expect(store.due).toEqual([])
  await expiry.stop()
})

test('many deliveries end in portions, one after the other', async () => {
  const { clock, store, expiry } = start(Array.from({ length: 1000 }, (_, i) => 100 + i / 10_000))
  await clock.advanceAsync(500)
  expect(store.due).toEqual([])
  expect(store.sweeps).toBe(4)
  await expiry.stop()
})

test('deliveries that expire one after the other do not cost a sweep each', async () => {
  const { clock, store, expiry } = start(Array.from({ length: 1000 }, (_, i) => i * 10))
  await clock.advanceAsync(10_500)
  expect(store.due).toEqual([])
  expect(store.sweeps).toBeLessThan(30)
  await expiry.stop()
})

test('a store that fails is asked again later, and an operator hears of it once', async () => {
  const { clock, store, observer, expiry } = start([10])
  store.failure = new KmeError('STORE_FAILED', 'the disk is full')
  await clock.advanceAsync(11_000)
  expect(observer.events.map(({ name }) => name)).toEqual(['delivery.expiry.failed'])
  store.failure = null
  await clock.advanceAsync(5000)
  expect(store.due).toEqual([])
  await expiry.stop()
})

test('an idle store is looked at every five seconds, and not at all after the stop', async () => {
  const { clock, store, expiry } = start([])
  await clock.advanceAsync(50_000)
  expect(store.looks).toBe(11)
  await expiry.stop()
  expect(clock.pendingTimers).toBe(0)
  await clock.advanceAsync(50_000)
  expect(store.looks).toBe(11)
})
