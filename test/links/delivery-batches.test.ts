import { describe, expect, test } from '@jest/globals'
import { DeliveryBatches } from '../../src/links/delivery-batches.ts'
import type { NewDelivery } from '../../src/ports/delivery-store.ts'
import type { Session } from '../../src/links/link-state.ts'

const sessionOf = (life: number): Session => ({
  life,
  epoch: { counter: 1, id: '0'.repeat(32) },
  peerLife: 1,
  sinceMs: 0,
})
const deliveryOf = (offset: number) => ({ delivery: { offset } }) as unknown as NewDelivery

/** Batches that end when the test says so. */
const heldBatches = () => {
  const calls: {
    life: number
    offsets: number[]
    commit: () => void
    end: (error?: Error) => void
  }[] = []
  const batches = new DeliveryBatches(
    (session, deliveries, diskIsFree) =>
      new Promise((resolve, reject) => {
        const offsets = deliveries.map(({ delivery }) => delivery.offset)
        calls.push({
          life: session.life,
          offsets,
          commit: diskIsFree,
          end: (error) => {
            if (error) reject(error)
            else resolve(offsets.map((offset) => Buffer.of(offset)))
          },
        })
      }),
  )
  return { calls, batches, offsets: () => calls.map((call) => call.offsets) }
}

const turns = async () => {
  for (let i = 0; i < 3; i += 1) await new Promise((resolve) => setImmediate(resolve))
}

describe('batches of concurrent deliveries', () => {
  test('take together what comes in one turn, and a lone delivery alone', async () => {
    const { calls, batches, offsets } = heldBatches()
    const session = sessionOf(1)
    const first = batches.deliver(session, deliveryOf(1))
    await turns()
    expect(offsets()).toEqual([[1]])
    calls[0]?.end()
    const pair = [2, 3].map((offset) => batches.deliver(session, deliveryOf(offset)))
    await turns()
    expect(offsets()).toEqual([[1], [2, 3]])
    calls[1]?.end()
    expect((await Promise.all([first, ...pair])).map((material) => material[0])).toEqual([1, 2, 3])
  })

  test('take what came while the one before was being committed, and do not wait for its peer', async () => {
    const { calls, batches, offsets } = heldBatches()
    const session = sessionOf(1)
    const all = [batches.deliver(session, deliveryOf(1))]
    await turns()
    for (const offset of [2, 3]) {
      all.push(batches.deliver(session, deliveryOf(offset)))
      await turns()
    }
    expect(offsets()).toEqual([[1]])
    calls[0]?.commit()
    await turns()
    expect(offsets()).toEqual([[1], [2, 3]])
    for (const { end } of calls) end()
    expect((await Promise.all(all)).map((material) => material[0])).toEqual([1, 2, 3])
  })

  test('go on after one that could not be committed', async () => {
    const { calls, batches, offsets } = heldBatches()
    const first = batches.deliver(sessionOf(1), deliveryOf(1))
    await turns()
    const second = batches.deliver(sessionOf(1), deliveryOf(2))
    calls[0]?.end(new Error('disk full'))
    await expect(first).rejects.toThrow('disk full')
    await turns()
    expect(offsets()).toEqual([[1], [2]])
    calls[1]?.end()
    expect((await second)[0]).toBe(2)
  })

  test('are several with the peer at once, and then those that come wait for the next', async () => {
    const { calls, batches, offsets } = heldBatches()
    const session = sessionOf(1)
    const all: Promise<Buffer>[] = []
    for (let offset = 1; offset <= 6; offset += 1) {
      all.push(batches.deliver(session, deliveryOf(offset)))
      await turns()
      calls.at(-1)?.commit()
      await turns()
    }
    const underWay = calls.length
    expect(underWay).toBeGreaterThan(1)
    expect(underWay).toBeLessThan(6)
    calls[0]?.end()
    await turns()
    const rest = [1, 2, 3, 4, 5, 6].slice(underWay)
    expect(offsets().at(-1)).toEqual(rest)
    for (const { end } of calls.slice(1)) end()
    expect((await Promise.all(all)).map((material) => material[0])).toEqual([1, 2, 3, 4, 5, 6])
  })

  test('never mix two sessions, and fail alone', async () => {
    const { calls, batches, offsets } = heldBatches()
    const first = batches.deliver(sessionOf(1), deliveryOf(1))
    const second = batches.deliver(sessionOf(2), deliveryOf(2))
    await turns()
    expect(offsets()).toEqual([[1]])
    calls[0]?.end(new Error('disk full'))
    await expect(first).rejects.toThrow('disk full')
    await turns()
    expect(offsets()).toEqual([[1], [2]])
    calls[1]?.end()
    expect((await second)[0]).toBe(2)
  })
})
