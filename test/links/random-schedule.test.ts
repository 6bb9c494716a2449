import { describe, expect, test } from '@jest/globals'
import { ChaosWorld } from './chaos/chaos-world.ts'

const ROUNDS = 6
const BAD_STEPS = 60
const CALM_STEPS = 20

/** What a link has to do. */
const work = async (world: ChaosWorld): Promise<void> => {
  const { dice } = world
  if (dice.once(3)) world.makeBlock(true, 32 + dice.roll(dice.once(3) ? 20_000 : 2500))
  // Mostly at one end, so that the other grants.
  const from = dice.once(8) ? world.any() : world.a
  if (dice.once(2)) for (let i = dice.roll(5); i >= 0; i -= 1) world.draw(from)
  const given = world.given.at(-1 - dice.roll(6))
  if (given && dice.once(3)) await world.fetchSome(given, 2)
}

/** One fault at one end, or the end of one. */
const disturb = async (world: ChaosWorld): Promise<void> => {
  const { dice } = world
  const end = world.any()
  const { wire } = end
  const faults = [
    () => (wire.cut = end.isUp && dice.once(2)),
    () => (wire.losesOneIn = dice.roll(6)),
    () => (wire.delaysOneIn = dice.roll(4)),
    () => (wire.repeatsOneIn = dice.roll(4)),
    () => {
      wire.breakConnection()
    },
    () => {
      if (end.isUp) end.kill()
    },
    () => end.isUp && dice.once(2) && world.stopEnd(end),
    () => !end.isUp && end.start(),
    () => (end.life.failWrites = 1 + dice.roll(6)),
  ]
  await Promise.resolve(faults[dice.roll(faults.length)]?.())
}

describe('a link under any schedule of faults', () => {
  test.each([1, 2, 3, 4, 5, 6])(
    'gives no byte twice, loses no delivered key, and heals with equal lanes and balanced ledgers (seed %i)',
    async (seed) => {
      const world = new ChaosWorld(seed, seed % 2 === 0 ? 3_600_000 : 400)
      await world.start()
      for (let round = 0; round < ROUNDS; round += 1) {
        for (let i = 0; i < BAD_STEPS + CALM_STEPS; i += 1) {
          await work(world)
          if (i >= CALM_STEPS && world.dice.once(4)) await disturb(world)
          await world.step()
        }
        await world.endFaults()
      }
      await world.heal()
      await world.check()
      // Otherwise the run has shown nothing.
      expect(world.given.length).toBeGreaterThan(20)
      expect(world.fetched).toBeGreaterThan(40)
      expect(world.granted).toBeGreaterThan(0)
      await world.stop()
      // What is late on the wire.
      await world.clock.advanceAsync(5_000)
      expect(world.clock.pendingTimers).toBe(0)
    },
  )
})
