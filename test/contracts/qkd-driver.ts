import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { refKey } from '../../src/model/block.ts'
import type { QkdDriver } from '../../src/ports/qkd-driver.ts'
import type { FakeClock } from '../helpers/fake-clock.ts'
import { settle } from '../helpers/fake-clock.ts'
import {
  channelPair,
  fakeContext,
  RecordingSink,
  type FakeContext,
} from '../helpers/fake-driver-context.ts'

type EndName = 'leader' | 'follower'

/** A device with two ends for the suite; each call makes a new one. */
export interface DeviceUnderTest {
  readonly clock: FakeClock
  /** A new driver for one end, on the same source as the one before. */
  makeDriver(end: EndName): QkdDriver
  /** Has the source make some blocks, 4 or more; returns what their vendor IDs contain, where that is known. */
  supply(): Promise<readonly string[]>
  /** Breaks the connection between the ends, where there is one. */
  disconnect?(): void
  reconnect?(): void
  dispose(): Promise<void>
}

interface OpenEnd {
  readonly driver: QkdDriver
  readonly context: FakeContext
  readonly sink: RecordingSink
}

const PLENTY = 1024 * 1024

class Bench {
  readonly device: DeviceUnderTest
  readonly channel = channelPair()
  readonly #opened: OpenEnd[] = []

  constructor(device: DeviceUnderTest) {
    this.device = device
  }

  async open(end: EndName, sink = new RecordingSink(), afresh = false): Promise<OpenEnd> {
    const context = fakeContext({
      role: end,
      clock: this.device.clock,
      sink,
      channel: this.channel.ends[end === 'leader' ? 0 : 1],
    })
    const driver = this.device.makeDriver(end)
    const opened = { driver, context, sink }
    this.#opened.push(opened)
    await driver.open(context, { afresh })
    return opened
  }

  async openBoth(sinks: readonly RecordingSink[] = [], afresh = false) {
    const leader = await this.open('leader', sinks[0], afresh)
    const follower = await this.open('follower', sinks[1], afresh)
    return { leader, follower }
  }

  async running(sinks: readonly RecordingSink[] = [], afresh = false) {
    const ends = await this.openBoth(sinks, afresh)
    await ends.leader.driver.start()
    await ends.follower.driver.start()
    return ends
  }

  /** Supplies and waits until both ends have that many blocks, fetching for an end that must ask. */
  async flow(leader: OpenEnd, follower: OpenEnd, blocks: number): Promise<void> {
    await this.device.supply()
    await this.until(leader, follower, () =>
      [leader, follower].every(({ sink }) => sink.blocks.size >= blocks),
    )
  }

  async until(leader: OpenEnd, follower: OpenEnd, condition: () => boolean): Promise<void> {
    let fetching = false
    await this.device.clock.until(() => {
      if (!fetching && follower.driver.fetch !== undefined) {
        fetching = true
        void this.announce(leader, follower).finally(() => {
          fetching = false
        })
      }
      return condition()
    })
  }

  /** What the KMEs do for the leader-pull family: the announcement is the question. */
  async announce(leader: OpenEnd, follower: OpenEnd): Promise<void> {
    const refs = [...leader.sink.blocks.values()]
      .map(({ ref }) => ref)
      .filter((ref) => !follower.sink.blocks.has(refKey(ref)))
    if (refs.length > 0) await follower.driver.fetch?.(refs)
  }

  async close(): Promise<void> {
    for (const { driver } of this.#opened) await driver.close({ drainMs: 0 })
    await this.device.dispose()
  }
}

const expectSameBytes = (leader: OpenEnd, follower: OpenEnd): void => {
  for (const [key, block] of follower.sink.blocks) {
    const other = leader.sink.blocks.get(key)
    // A block may be on its way to one end; what both have is equal.
    if (other !== undefined && !other.material.equals(block.material)) {
      throw new Error(`the ends hold different bytes under ${key}`)
    }
  }
}

const common = (leader: OpenEnd, follower: OpenEnd): number =>
  [...leader.sink.blocks.keys()].filter((key) => follower.sink.blocks.has(key)).length

/** The driver contract, run on every driver. */
export const describeQkdDriver = (name: string, make: () => Promise<DeviceUnderTest>): void => {
  describe(`the driver contract, ${name}`, () => {
    let bench: Bench

    beforeEach(async () => {
      bench = new Bench(await make())
    })

    afterEach(async () => {
      await bench.close()
    })

    test('C1: both ends offer the same bytes under the same refs', async () => {
      const { leader, follower } = await bench.running()
      for (const { driver } of [leader, follower]) driver.setDemand(PLENTY)
      await bench.flow(leader, follower, 4)
      expect(common(leader, follower)).toBeGreaterThanOrEqual(3)
      expectSameBytes(leader, follower)
      for (const { sink, driver } of [leader, follower]) {
        for (const { ref, material, provenance } of sink.blocks.values()) {
          expect(ref.deviceId).toBe('device-1')
          expect(ref.streamId).not.toBe('')
          expect(ref.vendorId).not.toBe('')
          expect(material.every((byte) => byte === 0)).toBe(false)
          expect(provenance).toBe(driver.status().provenance)
        }
      }
    })

    test('C2: what the sink could not store is offered again, in order', async () => {
      const { leader, follower } = await bench.running()
      for (const { driver, sink } of [leader, follower]) {
        sink.failing = 3
        driver.setDemand(PLENTY)
      }
      await bench.flow(leader, follower, 4)
      expect(common(leader, follower)).toBeGreaterThanOrEqual(3)
      expectSameBytes(leader, follower)
    })

    test('C3: no more is offered than the link wants, but for one block', async () => {
      const { leader, follower } = await bench.running()
      await bench.device.supply()
      await bench.device.clock.advanceAsync(3000)
      expect([leader.sink.offers, follower.sink.offers]).toEqual([0, 0])
      for (const { driver } of [leader, follower]) driver.setDemand(PLENTY)
      await bench.flow(leader, follower, 4)
      for (const { driver } of [leader, follower]) driver.setDemand(0)
      await bench.device.clock.advanceAsync(1000)
      const before = leader.sink.bytes
      await bench.device.supply()
      await bench.device.clock.advanceAsync(3000)
      expect(leader.sink.bytes).toBe(before)
      const block = Math.max(
        ...[...leader.sink.blocks.values()].map(({ material }) => material.length),
      )
      for (const { driver } of [leader, follower]) driver.setDemand(1)
      await bench.until(leader, follower, () => leader.sink.bytes > before)
      await bench.device.clock.advanceAsync(3000)
      expect(leader.sink.bytes - before).toBeLessThanOrEqual(1 + block)
    })

    test('C4: a block whose receipt got lost is offered again and does no harm', async () => {
      const { leader, follower } = await bench.running()
      for (const { driver, sink } of [leader, follower]) {
        sink.losingAnswers = 1
        driver.setDemand(PLENTY)
      }
      await bench.flow(leader, follower, 4)
      await bench.until(leader, follower, () => leader.sink.count('duplicate') > 0)
      expect(leader.sink.count('quarantined') + follower.sink.count('quarantined')).toBe(0)
      expectSameBytes(leader, follower)
    })

    test('C6: closing twice is closing once; buffers are wiped and nothing comes after', async () => {
      const { leader, follower } = await bench.running()
      for (const { driver } of [leader, follower]) driver.setDemand(PLENTY)
      await bench.flow(leader, follower, 4)
      leader.sink.failing = 1_000_000
      await bench.device.supply()
      await bench.device.clock.advanceAsync(500)
      for (const { driver } of [leader, follower]) {
        await driver.close({ drainMs: 100 })
        await driver.close({ drainMs: 100 })
        expect(driver.status().state).toBe('closed')
      }
      const offers = leader.sink.offers + follower.sink.offers
      await bench.device.supply()
      await bench.device.clock.advanceAsync(5000)
      expect(leader.sink.offers + follower.sink.offers).toBe(offers)
      expect(bench.device.clock.pendingTimers).toBe(0)
      for (const { sink } of [leader, follower]) {
        expect(sink.offered.every((buffer) => buffer.every((byte) => byte === 0))).toBe(true)
      }
    })

    test('C7: nothing that a driver says holds key', async () => {
      const { leader, follower } = await bench.running()
      leader.sink.failing = 1
      for (const { driver } of [leader, follower]) driver.setDemand(PLENTY)
      await bench.flow(leader, follower, 4)
      await follower.driver.close({ drainMs: 0 })
      await settle()
      const said = [leader, follower].flatMap(({ driver, context }) => [
        JSON.stringify(driver.status()),
        ...context.events.alarms,
        ...context.events.reasons,
      ])
      const names = [...leader.sink.blocks.values()].map(({ ref }) => refKey(ref))
      const text = [...said, ...bench.channel.sent, ...names].join('\n')
      for (const { material } of leader.sink.blocks.values()) {
        const part = material.subarray(0, 6)
        for (const encoding of ['hex', 'base64', 'latin1'] as const) {
          expect(text.includes(part.toString(encoding))).toBe(false)
        }
      }
    })

    test('C8: the state is told, from closed over initialising to running and back', async () => {
      const idle = bench.device.makeDriver('leader')
      expect(idle.status()).toMatchObject({ state: 'closed' })
      await idle.close({ drainMs: 0 })
      const { leader, follower } = await bench.openBoth()
      expect(['initialising', 'connecting']).toContain(leader.driver.status().state)
      const before = leader.context.events.changes
      for (const { driver } of [leader, follower]) await driver.start()
      for (const { driver } of [leader, follower]) driver.setDemand(PLENTY)
      await bench.flow(leader, follower, 4)
      for (const { driver } of [leader, follower]) {
        expect(driver.status()).toMatchObject({ state: 'running', reason: null })
      }
      expect(leader.context.events.changes).toBeGreaterThan(before)
    })

    test('C10: after a restart no block comes twice and none is renamed', async () => {
      const first = await bench.running()
      for (const { driver } of [first.leader, first.follower]) driver.setDemand(PLENTY)
      await bench.flow(first.leader, first.follower, 4)
      for (const { driver } of [first.leader, first.follower]) await driver.close({ drainMs: 0 })
      const had = first.leader.sink.blocks.size
      const second = await bench.running([first.leader.sink, first.follower.sink])
      for (const { driver } of [second.leader, second.follower]) driver.setDemand(PLENTY)
      await bench.flow(second.leader, second.follower, had + 4)
      for (const { sink } of [second.leader, second.follower]) {
        expect(sink.count('duplicate')).toBe(0)
        expect(sink.count('quarantined')).toBe(0)
      }
      expectSameBytes(second.leader, second.follower)
    })

    test('C13: opened afresh, nothing is offered that the source held before', async () => {
      const first = await bench.running()
      for (const { driver } of [first.leader, first.follower]) driver.setDemand(PLENTY)
      await bench.flow(first.leader, first.follower, 4)
      for (const { driver } of [first.leader, first.follower]) driver.setDemand(0)
      const held = await bench.device.supply()
      for (const { driver } of [first.leader, first.follower]) await driver.close({ drainMs: 0 })
      const old = [first.leader, first.follower].flatMap(({ sink }) => [...sink.blocks.values()])
      const oldBytes = new Set(old.map(({ material }) => material.toString('hex')))
      const second = await bench.running([], true)
      for (const { driver } of [second.leader, second.follower]) driver.setDemand(PLENTY)
      await bench.flow(second.leader, second.follower, 4)
      for (const { sink } of [second.leader, second.follower]) {
        for (const { ref, material } of sink.blocks.values()) {
          expect(oldBytes.has(material.toString('hex'))).toBe(false)
          expect(held.filter((name) => ref.vendorId.includes(name))).toEqual([])
        }
      }
      expectSameBytes(second.leader, second.follower)
    })

    test('C9: an end that lost the other says so, and nothing is lost when it is back', async () => {
      const { device } = bench
      const { leader, follower } = await bench.running()
      for (const { driver } of [leader, follower]) driver.setDemand(PLENTY)
      await bench.flow(leader, follower, 4)
      // A device whose ends have no connection has nothing to lose here.
      device.disconnect?.()
      if (device.disconnect !== undefined) {
        await device.clock.until(() => leader.driver.status().state === 'down')
        expect(leader.driver.status().reason).not.toBeNull()
      }
      device.reconnect?.()
      await bench.flow(leader, follower, leader.sink.blocks.size + 4)
      expect(leader.driver.status().state).toBe('running')
      for (const { driver } of [leader, follower]) driver.setDemand(0)
      await device.clock.advanceAsync(1000)
      expectSameBytes(leader, follower)
      expect(common(leader, follower)).toBeGreaterThanOrEqual(leader.sink.blocks.size - 1)
    })
  })
}
