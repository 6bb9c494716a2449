import { describe, expect, test } from '@jest/globals'
import { EMPTY_RECORD, verifyChain } from '../../src/audit/chain.ts'
import type { Delivery, RegisteredSae } from '../../src/model/delivery.ts'
import type { FetchedKeys } from '../../src/ports/delivery-store.ts'
import {
  at,
  confirmOf,
  IDS,
  LINK,
  withEnds,
  type End,
  type Ends,
  type OpenStore,
} from './store-ends.ts'

const WINDOW_MS = 30
const NOT_FOUND = { outcome: 'not-found' }

interface Asked {
  readonly sae: RegisteredSae
  readonly master?: string
  readonly windowMs?: number
}

/** Asks for keys (delivery, index), in this order. */
const ask = (
  { store }: End,
  keys: readonly (readonly [Delivery, number])[],
  { sae, master = 'verifier-1', windowMs = WINDOW_MS }: Asked,
  nowMs: number,
): Promise<FetchedKeys> =>
  store.fetchKeys(
    {
      sae,
      masterSaeId: master,
      keys: keys.map(([{ deliveryId }, index]) => ({ deliveryId, index })),
      redeliveryWindowMs: () => windowMs,
    },
    at(nowMs),
  )

interface Held {
  readonly follower: End
  readonly first: RegisteredSae
  readonly second: RegisteredSae
  readonly one: Delivery
  readonly two: Delivery
  /** By key: those of `one`, then those of `two`. */
  readonly keys: readonly Buffer[]
}

/** Two deliveries of two keys each, of different sizes, held for both SAEs of the follower. */
const hold = async (ends: Ends): Promise<Held> => {
  const { verifier, follower } = ends
  await ends.fill(20_032)
  const [first, second] = follower.saes
  if (!first || !second) throw new Error('not registered')
  const slaves = [first, second]
  const one = verifier.delivery(0, { keyCount: 2 })
  const two = verifier.delivery(64, { keyCount: 2, keyLengthBytes: 16, timeToLiveMs: 60 })
  const bytes = await verifier.commit(
    [one, two].map((delivery) => ({
      delivery,
      localSlaves: [],
      remoteSlaves: slaves,
      remoteKmeId: IDS.follower,
    })),
  )
  await ends.confirm(
    verifier,
    [one, two].map((delivery) => confirmOf(delivery, slaves)),
  )
  const keys = [one, two].flatMap(({ keyLengthBytes }, i) =>
    [0, 1].map((index) =>
      Buffer.from(bytes[i]?.subarray(index * keyLengthBytes, (index + 1) * keyLengthBytes) ?? []),
    ),
  )
  return { follower, first, second, one, two, keys }
}

const given = (held: Held, indexes: readonly number[]): object => ({
  outcome: 'fetched',
  keys: indexes.map((index) => held.keys[index]),
  redeliveryWindowMs: WINDOW_MS,
})

export const describeRedelivery = (open: OpenStore): void => {
  describe('redelivery window', () => {
    test('the very same request gets the same answer until the window is over, and nothing changes by it', async () => {
      await withEnds(open, async (ends) => {
        const held = await hold(ends)
        const { follower, first: sae, one, two } = held
        const asked = [[two, 1] as const, [one, 0] as const]
        expect(await ask(follower, asked, { sae }, 10)).toEqual(given(held, [3, 0]))
        const ledger = await follower.ledger()
        for (const nowMs of [10, 20, 39]) {
          expect(await ask(follower, asked, { sae }, nowMs)).toEqual(given(held, [3, 0]))
        }
        expect(await follower.ledger()).toEqual(ledger)
        expect(await ask(follower, asked, { sae }, 40)).toEqual(NOT_FOUND)
      })
    })

    test('any other request gets what it would get without a window', async () => {
      await withEnds(open, async (ends) => {
        const held = await hold(ends)
        const { follower, first: sae, second, one, two } = held
        const stranger = { ...sae, registrationId: 'f'.repeat(32) }
        const [a, b, c, d] = [
          [one, 0] as const,
          [one, 1] as const,
          [two, 0] as const,
          [two, 1] as const,
        ]
        const asked = [a, b, c]
        await ask(follower, asked, { sae }, 1)
        for (const other of [[b, a, c], [a, b], [a], [a, b, c, d]]) {
          expect(await ask(follower, other, { sae }, 2)).toEqual(NOT_FOUND)
        }
        expect(await ask(follower, asked, { sae, master: 'verifier-2' }, 2)).toEqual(NOT_FOUND)
        expect(await ask(follower, asked, { sae: stranger }, 2)).toEqual({
          outcome: 'unauthorized',
        })
        // Another slave has its own right to the keys, and its own window.
        expect(await ask(follower, asked, { sae: second }, 2)).toEqual(given(held, [0, 1, 2]))
        expect(await ask(follower, asked, { sae: second }, 31)).toEqual(given(held, [0, 1, 2]))
        expect(await ask(follower, asked, { sae }, 31)).toEqual(NOT_FOUND)
      })
    })

    test('the window is that of the link that the keys come from, for slaves at either end', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        await ends.fill(20_032)
        const [here] = verifier.saes
        const [there] = follower.saes
        if (!here || !there) throw new Error('not registered')
        const delivery = verifier.delivery(0, { keyCount: 1 })
        const created = { delivery, localSlaves: [here], remoteSlaves: [there] }
        await verifier.commit([{ ...created, remoteKmeId: IDS.follower }])
        await ends.confirm(verifier, [confirmOf(delivery, [there])])
        for (const [end, sae] of [[verifier, here] as const, [follower, there] as const]) {
          const asked: string[] = []
          const answer = await end.store.fetchKeys(
            {
              sae,
              masterSaeId: 'verifier-1',
              keys: [{ deliveryId: delivery.deliveryId, index: 0 }],
              redeliveryWindowMs(linkId) {
                asked.push(linkId)
                return 12
              },
            },
            at(1),
          )
          expect(answer).toMatchObject({ outcome: 'fetched', redeliveryWindowMs: 12 })
          expect(asked).toEqual([LINK])
        }
      })
    })

    test('without a window, what was answered is answered no more', async () => {
      await withEnds(open, async (ends) => {
        const held = await hold(ends)
        const { follower, first: sae, one } = held
        const answer = await ask(follower, [[one, 0]], { sae, windowMs: 0 }, 1)
        expect(answer).toEqual({ outcome: 'fetched', keys: [held.keys[0]] })
        expect(await ask(follower, [[one, 0]], { sae }, 1)).toEqual(NOT_FOUND)
      })
    })

    test('an SAE that was registered anew does not get the answer of the former one', async () => {
      await withEnds(open, async (ends) => {
        const { follower, first: sae, one } = await hold(ends)
        await ask(follower, [[one, 0]], { sae }, 1)
        await follower.store.registerSaes(['follower-2'])
        const { saes } = await follower.store.registerSaes(['follower-1', 'follower-2'])
        const anew = saes.find(({ saeId }) => saeId === 'follower-1')
        if (!anew) throw new Error('not registered')
        expect(await ask(follower, [[one, 0]], { sae: anew }, 2)).toEqual({
          outcome: 'unauthorized',
        })
      })
    })

    test('the window ends with the life of the first key that expires', async () => {
      await withEnds(open, async (ends) => {
        const held = await hold(ends)
        const { follower, first: sae, one, two } = held
        const asked = [[one, 0] as const, [two, 0] as const]
        await ask(follower, asked, { sae }, 50)
        expect(await ask(follower, asked, { sae }, 59)).toEqual(given(held, [0, 2]))
        expect(await ask(follower, asked, { sae }, 60)).toEqual(NOT_FOUND)
      })
    })

    test('answers whose window is over are erased by the sweep, and counted by it', async () => {
      await withEnds(open, async (ends) => {
        const { follower, first: sae, second, one } = await hold(ends)
        const { store } = follower
        expect(await store.nextExpiry()).toBe(60)
        for (const [i, asker] of [sae, second].entries()) {
          await ask(follower, [[one, 0]], { sae: asker }, i)
          await ask(follower, [[one, 1]], { sae: asker }, i + 5)
        }
        expect(await store.nextExpiry()).toBe(30)
        expect(await store.expireDeliveries(at(29), 10)).toBe(0)
        expect(await store.expireDeliveries(at(31), 1)).toBe(1)
        expect(await store.nextExpiry()).toBe(31)
        expect(await store.expireDeliveries(at(31), 10)).toBe(1)
        expect(await store.nextExpiry()).toBe(35)
        expect(await store.expireDeliveries(at(60), 10)).toBe(3)
        expect(await store.nextExpiry()).toBe(1000)
      })
    })

    test('windows start anew after a restart, also one that comes back before the fetch', async () => {
      await withEnds(open, async (ends) => {
        const held = await hold(ends)
        const { follower, first: sae, one } = held
        await ask(follower, [[one, 0]], { sae }, 40)
        // Running time is saved late.
        await follower.store.restartRedelivery(at(35))
        expect(await ask(follower, [[one, 0]], { sae }, 64)).toEqual(given(held, [0]))
        expect(await ask(follower, [[one, 0]], { sae }, 65)).toEqual(NOT_FOUND)
      })
    })

    test('a window that was over stays so when the process starts, though its answer is not erased yet', async () => {
      await withEnds(open, async (ends) => {
        const { follower, first: sae, one } = await hold(ends)
        await ask(follower, [[one, 0]], { sae }, 1)
        await follower.store.restartRedelivery(at(31))
        expect(await ask(follower, [[one, 0]], { sae }, 31)).toEqual(NOT_FOUND)
        expect(await follower.store.nextExpiry()).toBe(31)
      })
    })

    test('windows start anew after a restart within the life of the keys', async () => {
      await withEnds(open, async (ends) => {
        const held = await hold(ends)
        const { follower, first: sae, one, two } = held
        await ask(follower, [[one, 0]], { sae }, 28)
        await ask(follower, [[two, 0]], { sae }, 28)
        await follower.store.restartRedelivery(at(55))
        expect(await ask(follower, [[two, 0]], { sae }, 59)).toEqual(given(held, [2]))
        expect(await ask(follower, [[two, 0]], { sae }, 60)).toEqual(NOT_FOUND)
        expect(await ask(follower, [[one, 0]], { sae }, 84)).toEqual(given(held, [0]))
        expect(await ask(follower, [[one, 0]], { sae }, 85)).toEqual(NOT_FOUND)
      })
    })

    test('a store that was put back repeats nothing: nobody knows how long ago the windows ended', async () => {
      await withEnds(open, async (ends) => {
        const { follower, first: sae, one } = await hold(ends)
        await ask(follower, [[one, 0]], { sae }, 1)
        await follower.refresh()
        await follower.store.becomeRestored(follower.self.generation, at(2))
        expect(await ask(follower, [[one, 0]], { sae }, 2)).toEqual(NOT_FOUND)
        expect(await follower.store.nextExpiry()).toBe(60)
      })
    })

    test('each repetition is in the audit record', async () => {
      await withEnds(open, async (ends) => {
        const { follower, first: sae, one, two } = await hold(ends)
        const asked = [
          [one, 1],
          [two, 0],
          [one, 0],
        ] as const
        for (const nowMs of [1, 2, 99]) await ask(follower, asked, { sae }, nowMs)
        const record = await follower.store.readAudit(0, 100)
        const told = record.map(({ action, deliveryId, keyCount, saes }) => {
          const name = deliveryId === one.deliveryId.toString('hex') ? 'one' : 'two'
          return [action, name, keyCount, ...saes]
        })
        expect(told.slice(2)).toEqual([
          ['fetched', 'one', 2, 'follower-1'],
          ['fetched', 'two', 1, 'follower-1'],
          ['redelivered', 'one', 2, 'follower-1'],
          ['redelivered', 'two', 1, 'follower-1'],
        ])
        expect(verifyChain(record, EMPTY_RECORD)).toBe(null)
      })
    })

    test('a request that comes again before the first is answered gets the same', async () => {
      await withEnds(open, async (ends) => {
        const held = await hold(ends)
        const { follower, first: sae, one } = held
        const answers = await Promise.all(
          [1, 1, 1].map((nowMs) => ask(follower, [[one, 0]], { sae }, nowMs)),
        )
        expect(answers).toEqual([given(held, [0]), given(held, [0]), given(held, [0])])
        const record = await follower.store.readAudit(0, 100)
        expect(record.map(({ action }) => action).slice(2)).toEqual([
          'fetched',
          'redelivered',
          'redelivered',
        ])
      })
    })
  })
}
