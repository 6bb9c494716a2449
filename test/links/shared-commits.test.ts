import { describe, expect, test } from '@jest/globals'
import type { NewDelivery } from '../../src/ports/delivery-store.ts'
import type { Session } from '../../src/links/link-state.ts'
import { SharedCommits } from '../../src/links/shared-commits.ts'

const sessionOf = (life: number): Session => ({
  life,
  epoch: { counter: 1, id: '0'.repeat(32) },
  peerLife: 1,
  sinceMs: 0,
})
const deliveryOf = (offset: number) => ({ delivery: { offset } }) as unknown as NewDelivery

/** Commits that end when the test says so. */
const heldCommits = () => {
  const calls: { offsets: number[]; end: (error?: Error) => void }[] = []
  const commits = new SharedCommits(
    (_, deliveries) =>
      new Promise((resolve, reject) => {
        const offsets = deliveries.map(({ delivery }) => delivery.offset)
        calls.push({
          offsets,
          end: (error) => {
            if (error) reject(error)
            else resolve(offsets.map((offset) => Buffer.of(offset)))
          },
        })
      }),
  )
  return { calls, commits }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('commits of concurrent deliveries', () => {
  test('take a lone delivery at once, and those that come meanwhile together', async () => {
    const { calls, commits } = heldCommits()
    const session = sessionOf(1)
    const all = [1, 2, 3].map((offset) => commits.commit(session, deliveryOf(offset)))
    expect(calls.map(({ offsets }) => offsets)).toEqual([[1]])
    calls[0]?.end()
    await turn()
    expect(calls.map(({ offsets }) => offsets)).toEqual([[1], [2, 3]])
    calls[1]?.end()
    expect((await Promise.all(all)).map((material) => material[0])).toEqual([1, 2, 3])
  })

  test('never mix two sessions, and fail only those that shared the commit that failed', async () => {
    const { calls, commits } = heldCommits()
    const first = commits.commit(sessionOf(1), deliveryOf(1))
    const session = sessionOf(2)
    const second = commits.commit(session, deliveryOf(2))
    const third = commits.commit(sessionOf(3), deliveryOf(3))
    calls[0]?.end(new Error('disk full'))
    await expect(first).rejects.toThrow('disk full')
    await turn()
    expect(calls[1]?.offsets).toEqual([2])
    calls[1]?.end()
    await second
    await turn()
    calls[2]?.end()
    expect((await third)[0]).toBe(3)
  })
})
