import { createHash } from 'node:crypto'
import { expect, test } from '@jest/globals'
import { factory } from '../../src/drivers/simulator/index.ts'
import { simulatorOptionsSchema } from '../../src/drivers/simulator/options.ts'
import { SeededBlocks } from '../../src/drivers/simulator/seeded.ts'
import { FakeClock } from '../helpers/fake-clock.ts'
import { fakeContext, RecordingSink } from '../helpers/fake-driver-context.ts'

const PLENTY = 1024 * 1024
const SEEDED = { blockBytes: 512, secretKeyRateBps: 40_960, seed: 'one seed' }

const start = async (clock: FakeClock, sink = new RecordingSink(), more = {}, afresh = false) => {
  const driver = factory.create(simulatorOptionsSchema.parse({ ...SEEDED, ...more }))
  const context = fakeContext({ clock, sink })
  await driver.open(context, { afresh })
  await driver.start()
  driver.setDemand(PLENTY)
  return { driver, context, sink }
}

const digest = (material: Buffer): string =>
  createHash('sha256').update(material).digest('hex').slice(0, 16)

test('a block of a seed is the same everywhere, and another for another index, device or seed', () => {
  const blocks = (seed: string, deviceId: string) =>
    new SeededBlocks(seed, { linkId: 'link-1', deviceId }, 512)
  const one = blocks('one seed', 'device-1')
  expect(one.block(0)).toHaveLength(512)
  expect(one.block(5)).toEqual(blocks('one seed', 'device-1').block(5))
  const all = [
    one.block(0),
    one.block(1),
    blocks('one seed', 'device-2').block(0),
    blocks('two seeds', 'device-1').block(0),
  ]
  expect(new Set(all.map(digest)).size).toBe(4)
  expect(one.session).not.toBe(blocks('two seeds', 'device-1').session)
})

test('two ends that start a little apart have the same blocks, with no connection', async () => {
  const clock = new FakeClock()
  const left = await start(clock)
  await clock.advanceAsync(1500)
  const right = await start(clock)
  await clock.advanceAsync(5000)
  const shared = [...left.sink.blocks].filter(([key]) => right.sink.blocks.has(key))
  expect(shared.length).toBeGreaterThan(50)
  for (const [key, { material }] of shared) {
    expect(right.sink.blocks.get(key)?.material.equals(material)).toBe(true)
  }
  await left.driver.close({ drainMs: 0 })
  await right.driver.close({ drainMs: 0 })
})

test('the schedule follows the wall clock from t0, whatever the timers do', async () => {
  const clock = new FakeClock({ wallMs: 1_000_000 })
  const { driver, sink } = await start(clock, undefined, { t0Ms: 1_000_000 })
  await clock.advanceAsync(10_000)
  expect([...sink.blocks.values()].map(({ ref }) => ref.vendorId)).toEqual(
    Array.from({ length: sink.blocks.size }, (_, i) => String(i)),
  )
  expect(Math.abs(sink.blocks.size - 100)).toBeLessThanOrEqual(2)
  clock.shiftWall(-5000)
  await clock.advanceAsync(4000)
  expect(Math.abs(sink.blocks.size - 100)).toBeLessThanOrEqual(2)
  await driver.close({ drainMs: 0 })
})

test('an end that fell far behind leaves blocks out and says how many', async () => {
  const clock = new FakeClock()
  const { driver, sink, context } = await start(clock)
  await clock.advanceAsync(1000)
  driver.setDemand(0)
  await clock.advanceAsync(100_000)
  driver.setDemand(PLENTY)
  await clock.advanceAsync(1000)
  expect(context.events.gaps).toBeGreaterThan(500)
  expect(sink.blocks.size).toBeLessThan(300)
  await driver.close({ drainMs: 0 })
})

test('an end whose switch is asked for says that it must be an option', async () => {
  const { driver } = await start(new FakeClock())
  await expect(driver.control?.('eavesdropper', 0.1)).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  await driver.close({ drainMs: 0 })
})
