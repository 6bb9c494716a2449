import { expect, test } from '@jest/globals'
import { describeQkdDriver } from '../contracts/qkd-driver.ts'
import { BoxPair } from '../emulators/leader-pull/boxes.ts'
import { LeaderPullDriver } from '../emulators/leader-pull/driver.ts'
import { FakeClock } from '../helpers/fake-clock.ts'
import { fakeContext } from '../helpers/fake-driver-context.ts'

describeQkdDriver('leader-pull emulator', async () => {
  const boxes = new BoxPair({ keyBytes: 64 })
  return {
    clock: new FakeClock(),
    makeDriver: () => new LeaderPullDriver(boxes),
    supply: async () => boxes.make(8),
    dispose: async () => {},
  }
})

const openPair = async () => {
  const boxes = new BoxPair({ keyBytes: 64 })
  const clock = new FakeClock()
  const leader = fakeContext({ role: 'leader', clock })
  const follower = fakeContext({ role: 'follower', clock })
  const drivers = [new LeaderPullDriver(boxes), new LeaderPullDriver(boxes)] as const
  await drivers[0].open(leader, { afresh: false })
  await drivers[1].open(follower, { afresh: false })
  await drivers[0].start()
  await drivers[1].start()
  boxes.make(3)
  drivers[0].setDemand(10_000)
  await clock.until(() => leader.sink.blocks.size === 3)
  const refs = [...leader.sink.blocks.values()].map(({ ref }) => ref)
  return { boxes, follower, driver: drivers[1], refs }
}

test('a key that the second box refuses is gone, one that it did not hear of is asked for again', async () => {
  const { boxes, driver, refs } = await openPair()
  boxes.refusing.add(refs[0]!.vendorId)
  boxes.unreachable = 0
  expect(await driver.fetch(refs.slice(0, 1))).toEqual(['gone'])
  boxes.unreachable = 1
  expect(await driver.fetch(refs.slice(1))).toEqual(['retry', 'ok'])
  expect(await driver.fetch(refs.slice(1, 2))).toEqual(['ok'])
})

test('a key whose answer got lost was given out: the next question finds it gone', async () => {
  const { boxes, driver, refs } = await openPair()
  boxes.losing = 1
  expect(await driver.fetch(refs.slice(0, 1))).toEqual(['retry'])
  expect(await driver.fetch(refs.slice(0, 1))).toEqual(['gone'])
})

test('a key that the sink could not store is kept, for the box gives it only once', async () => {
  const { driver, follower, refs } = await openPair()
  follower.sink.failing = 1
  expect(await driver.fetch(refs)).toEqual(['retry', 'ok', 'ok'])
  expect(await driver.fetch(refs.slice(0, 1))).toEqual(['ok'])
  expect(follower.sink.blocks.size).toBe(3)
})
