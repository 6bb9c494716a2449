import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { createSimulatedPair, type SimulatedPair } from '../../src/drivers/simulator/index.ts'
import type { SimulatorOptions } from '../../src/drivers/simulator/options.ts'
import { refKey } from '../../src/model/block.ts'
import { FakeClock } from '../helpers/fake-clock.ts'
import { fakeContext, type FakeContext } from '../helpers/fake-driver-context.ts'

const PLENTY = 100 * 1024 * 1024
/** Ten blocks a second. */
const TEN = { blockBytes: 512, secretKeyRateBps: 40_960 }

describe('a simulated pair', () => {
  let clock: FakeClock
  let leader: FakeContext
  let follower: FakeContext
  let pair: SimulatedPair

  const start = async (options: Partial<SimulatorOptions> = {}): Promise<void> => {
    pair = createSimulatedPair({ ...TEN, ...options })
    await pair.leader.open(leader, { afresh: false })
    await pair.follower.open(follower, { afresh: false })
    for (const driver of [pair.leader, pair.follower]) {
      await driver.start()
      driver.setDemand(PLENTY)
    }
  }

  const counts = () => [leader.sink.blocks.size, follower.sink.blocks.size]
  const seconds = (s: number) => clock.advanceAsync(s * 1000)

  beforeEach(() => {
    clock = new FakeClock()
    leader = fakeContext({ role: 'leader', clock })
    follower = fakeContext({ role: 'follower', clock })
  })

  afterEach(async () => {
    await pair.follower.close({ drainMs: 0 })
    await pair.leader.close({ drainMs: 0 })
    expect(clock.pendingTimers).toBe(0)
  })

  test('makes as many blocks as its rate fills, without drift', async () => {
    await start()
    await seconds(100)
    for (const count of counts()) expect(Math.abs(count - 1000)).toBeLessThanOrEqual(2)
    expect(pair.follower.status()).toMatchObject({
      state: 'running',
      secretKeyRateBps: 40_960,
      lossDb: 5,
    })
  })

  test('makes them faster by its speed-up', async () => {
    await start({ speedUp: 100 })
    await seconds(2)
    for (const count of counts()) expect(Math.abs(count - 2000)).toBeLessThanOrEqual(40)
  })

  test('hands them over in bursts', async () => {
    await start({ burst: { blocks: 30, everyS: 5 } })
    await seconds(4.9)
    expect(counts()).toEqual([0, 0])
    await seconds(0.3)
    expect(counts()).toEqual([30, 30])
    await seconds(5)
    expect(counts()).toEqual([60, 60])
  })

  test('catches up only a little after the process slept', async () => {
    await start()
    await seconds(1)
    const before = leader.sink.blocks.size
    // An hour passes at once, as when a suspended machine wakes up.
    clock.jump(3_600_000)
    await seconds(0.2)
    expect(leader.sink.blocks.size - before).toBeLessThanOrEqual(60)
  })

  test('an eavesdropper, switched at either end, stops the key at both', async () => {
    await start()
    await seconds(2)
    await pair.follower.control?.('eavesdropper', 0.5)
    await seconds(0.2)
    const stopped = counts()
    await seconds(5)
    expect(counts()).toEqual(stopped)
    for (const driver of [pair.leader, pair.follower]) {
      const status = driver.status()
      expect(status).toMatchObject({ state: 'degraded', secretKeyRateBps: 0 })
      expect(status.reason).toMatch(/^QBER 14\.1 % is above the threshold of 11\.0 %/)
      expect(status.controls['eavesdropper']).toBe(0.5)
    }
    await pair.leader.control?.('eavesdropper', 0)
    await seconds(2)
    expect(leader.sink.blocks.size).toBeGreaterThan(stopped[0]!)
    expect(pair.follower.status().state).toBe('running')
  })

  test('a step of loss lowers the rate and raises the QBER', async () => {
    await start()
    await pair.leader.control?.('extraLossDb', 10)
    await seconds(0.1)
    for (const driver of [pair.leader, pair.follower]) {
      const { secretKeyRateBps, qber, lossDb } = driver.status()
      expect(secretKeyRateBps).toBeCloseTo((40_960 * Math.sqrt(2090 * 1128)) / 5998, 3)
      expect(qber).toBeCloseTo(0.0159 + (0.0264 + 0.0223) / 2 - 0.0159, 6)
      expect(lossDb).toBe(15)
    }
  })

  test.each(['leader', 'follower'] as const)(
    'a block lost at the %s is missing there alone',
    async (end) => {
      await start()
      const [here, there] = end === 'leader' ? [leader, follower] : [follower, leader]
      await pair[end].control?.('dropNextBlocks', 3)
      await seconds(3)
      const missing = [...there.sink.blocks.keys()].filter((key) => !here.sink.blocks.has(key))
      expect(missing.length).toBeGreaterThanOrEqual(3)
      expect(missing.length).toBeLessThanOrEqual(4)
      expect(here.events.gaps).toBe(3)
      expect(there.events.gaps).toBe(0)
    },
  )

  test.each(['leader', 'follower'] as const)(
    'a bit flipped at the %s is past byte 64, in that block alone',
    async (end) => {
      await start()
      await pair[end].control?.('flipNextBlocks', 1)
      await seconds(3)
      const differing = [...leader.sink.blocks].flatMap(([key, { material }]) => {
        const other = follower.sink.blocks.get(key)?.material ?? material
        const at = material.findIndex((byte, i) => byte !== other[i])
        return at < 0 ? [] : [at]
      })
      expect(differing).toHaveLength(1)
      expect(differing[0]).toBeGreaterThanOrEqual(64)
    },
  )

  test('a duplicated block is offered twice at that end', async () => {
    await start()
    await pair.follower.control?.('duplicateNextBlocks', 2)
    await seconds(3)
    expect(follower.sink.count('duplicate')).toBe(2)
    expect(leader.sink.count('duplicate')).toBe(0)
  })

  test('a stalled end stops both and loses nothing', async () => {
    await start()
    await seconds(0.1)
    await pair.follower.control?.('stall', true)
    expect(pair.follower.status()).toMatchObject({ state: 'degraded' })
    await seconds(3)
    const [a, b] = counts()
    expect(Math.abs(a! - b!)).toBeLessThanOrEqual(1)
    await seconds(3)
    expect(counts()).toEqual([a, b])
    await pair.follower.control?.('stall', false)
    await seconds(3)
    expect(counts()[0]).toBeGreaterThan(20)
    expect(follower.events.gaps + leader.events.gaps).toBe(0)
  })

  test('an end without demand stops both, within a block', async () => {
    await start()
    await seconds(1)
    pair.follower.setDemand(0)
    await seconds(1)
    const before = counts()
    await seconds(10)
    expect(counts()).toEqual(before)
    expect(Math.abs(before[0]! - before[1]!)).toBeLessThanOrEqual(1)
    pair.follower.setDemand(5 * 512)
    await seconds(10)
    expect(counts().map((count, i) => count - before[i]!)).toEqual([5, 5])
  })

  test('what was on its way when the connection broke comes once, at both ends', async () => {
    await start({ speedUp: 10 })
    for (let round = 0; round < 10; round += 1) {
      await seconds(0.5)
      pair.disconnect()
      await seconds(0.3)
      expect(pair.leader.status().state).toBe('down')
      pair.reconnect()
    }
    await seconds(1)
    for (const driver of [pair.leader, pair.follower]) driver.setDemand(0)
    await seconds(0.5)
    expect(Math.abs(counts()[0]! - counts()[1]!)).toBeLessThanOrEqual(1)
    expect(leader.sink.count('duplicate') + follower.sink.count('duplicate')).toBe(0)
    for (const [key, { material }] of follower.sink.blocks) {
      const other = leader.sink.blocks.get(key)
      if (other !== undefined) expect(other.material.equals(material)).toBe(true)
    }
  })

  test('blocks that wait for the sink are not taken twice when the connection comes back', async () => {
    await start()
    await seconds(1)
    follower.sink.failing = 1_000_000
    await seconds(2)
    pair.disconnect()
    await seconds(0.1)
    pair.reconnect()
    await seconds(0.1)
    follower.sink.failing = 0
    await seconds(15)
    expect(pair.follower.status().state).toBe('running')
    expect(follower.sink.count('duplicate')).toBe(0)
    expect(Math.abs(counts()[0]! - counts()[1]!)).toBeLessThanOrEqual(1)
    expect(counts()[0]).toBeGreaterThan(100)
  })

  test('blocks that a following end lost by its restart are shipped again', async () => {
    await start()
    await seconds(1)
    follower.sink.failing = 1_000_000
    await seconds(2)
    await pair.follower.close({ drainMs: 0 })
    follower.sink.failing = 0
    await pair.follower.open(follower, { afresh: false })
    await pair.follower.start()
    pair.follower.setDemand(PLENTY)
    await seconds(2)
    const sequences = [...follower.sink.blocks.values()].map(({ ref }) => Number(ref.vendorId))
    expect(sequences).toEqual(Array.from({ length: sequences.length }, (_, i) => i + 1))
    expect(sequences.length).toBeGreaterThan(45)
  })

  test('two following ends refuse each other and say why', async () => {
    await start()
    await pair.leader.close({ drainMs: 0 })
    await pair.leader.open(fakeContext({ role: 'follower', clock }), { afresh: false })
    await pair.leader.start()
    await seconds(0.1)
    expect(pair.leader.status().state).not.toBe('running')
    expect(pair.leader.status().reason).toBe(
      'the other end says role "follower", wanted is "leader"',
    )
  })

  test('each start of the leader is a session of its own', async () => {
    await start()
    await seconds(1)
    await pair.leader.close({ drainMs: 0 })
    await pair.leader.open(leader, { afresh: false })
    await pair.leader.start()
    pair.leader.setDemand(PLENTY)
    await seconds(1)
    expect(new Set([...leader.sink.blocks.values()].map(({ ref }) => ref.streamId)).size).toBe(2)
    for (const { ref } of leader.sink.blocks.values()) expect(ref.vendorId).toMatch(/^[1-9]\d*$/)
    expect([...follower.sink.blocks.keys()].sort()).toEqual([...leader.sink.blocks.keys()].sort())
  })

  test.each([
    ['eavesdropper', 1.5],
    ['eavesdropper', 'much'],
    ['extraLossDb', -1],
    ['lengthKm', Number.NaN],
    ['dropNextBlocks', 0.5],
    ['stall', 1],
    ['noSuchSwitch', 1],
  ])('refuses the switch %s set to %p with one line', async (name, value) => {
    await start()
    for (const driver of [pair.leader, pair.follower]) {
      await expect(driver.control?.(name, value)).rejects.toMatchObject({ code: 'BAD_REQUEST' })
    }
  })

  test('a following end alone cannot switch the link, and says so', async () => {
    await start()
    pair.disconnect()
    await expect(pair.follower.control?.('eavesdropper', 0.1)).rejects.toMatchObject({
      code: 'PEER_UNAVAILABLE',
    })
  })

  test('blocks are marked simulated and carry the QBER', async () => {
    await start()
    await seconds(1)
    const block = follower.sink.blocks.get(refKey([...leader.sink.blocks.values()][0]!.ref))
    expect(block).toMatchObject({ provenance: 'simulated' })
    expect(block?.qber).toBeCloseTo(0.0159, 9)
  })
})
