import { expect, test } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import { makeLinkPair } from '../helpers/link-pair.ts'
import { eventually } from '../helpers/eventually.ts'

const KEY_BYTES = 32

/**
 * A confirm may leave before its commit is durable. What makes that safe: the commit is asked for in
 * the same turn, so whatever a next session reads of the lane is read after it.
 */
test.each(['peer', 'local'] as const)(
  'with confirm: %s the confirm and its commit are asked for in one turn',
  async (confirm) => {
    const settings = { confirm }
    await using pair = await makeLinkPair({ a: { settings }, b: { settings } })
    const { a, b } = pair
    await eventually(() => a.driver.isOpen && b.driver.isOpen)
    const material = randomBytes(8192)
    await a.driver.push({ vendorId: '1', material })
    await b.driver.push({ vendorId: '1', material })
    const { destination } = a.link
    await eventually(() => destination.deliverableKeys(KEY_BYTES) >= 8)

    const seen: string[] = []
    const send = a.wire.send.bind(a.wire)
    a.wire.send = (stamp, messages) => {
      if (messages.some(({ kind }) => kind === 'confirm')) {
        seen.push('confirm')
        queueMicrotask(() => seen.push('end of the turn'))
      }
      return send(stamp, messages)
    }
    const commit = a.store.commitDeliveries.bind(a.store)
    a.store.commitDeliveries = (...args) => {
      seen.push('commit')
      return commit(...args)
    }
    const request = {
      master: a.sae,
      localSlaves: [],
      remoteSlaves: [b.sae],
      keyLengthBytes: KEY_BYTES,
      keyCount: 1,
      maxAgeMs: null,
    }
    await Promise.all([1, 2, 3].map(() => destination.issue(request)))
    expect(seen.slice(0, 3)).toEqual(['confirm', 'commit', 'end of the turn'])
  },
)
