import { describe, expect, test } from '@jest/globals'
import { LINK_ID, makeLinkPair } from '../helpers/link-pair.ts'
import type { LinkPair } from '../helpers/link-pair.ts'
import { BoxPair } from '../emulators/leader-pull/boxes.ts'
import { LeaderPullDriver } from '../emulators/leader-pull/driver.ts'
import { eventually } from '../helpers/eventually.ts'
import { ledgerDifference } from '../../src/model/ledger.ts'

const makeBoxLink = async (boxes: BoxPair): Promise<LinkPair> =>
  makeLinkPair({
    a: { createDriver: () => new LeaderPullDriver(boxes) },
    b: { createDriver: () => new LeaderPullDriver(boxes) },
  })

const verifiedBytes = async ({ a, b }: LinkPair): Promise<readonly number[]> => {
  const ledgers = await Promise.all([a, b].map(({ store }) => store.readLedger(LINK_ID)))
  return ledgers.map(({ bytes }) => bytes.ownLane + bytes.otherLane + bytes.sacrificed)
}

describe('a device whose second end can only ask by ID', () => {
  test('feeds the lanes of both ends', async () => {
    const boxes = new BoxPair({ keyBytes: 32 })
    await using pair = await makeBoxLink(boxes)
    boxes.make(64)
    await eventually(async () => (await verifiedBytes(pair)).every((bytes) => bytes === 2048))
  })

  test('drops at the leader at once what the box refused for good, and counts it as a gap', async () => {
    const boxes = new BoxPair({ keyBytes: 32 })
    await using pair = await makeBoxLink(boxes)
    const [first] = boxes.make(64)
    boxes.refusing.add(first ?? '')
    await eventually(async () => (await verifiedBytes(pair)).every((bytes) => bytes === 2016))
    await eventually(async () => (await pair.a.store.readLedger(LINK_ID)).bytes.dropped === 32)
    expect((await pair.b.store.readLedger(LINK_ID)).gapBlocks).toBe(1)
    for (const { store } of [pair.a, pair.b]) {
      expect(ledgerDifference(await store.readLedger(LINK_ID))).toBe(0)
    }
  })

  test('asks again where the box could not be reached, and loses only keys whose answer was lost', async () => {
    const boxes = new BoxPair({ keyBytes: 32 })
    await using pair = await makeBoxLink(boxes)
    boxes.unreachable = 3
    boxes.losing = 1
    boxes.make(64)
    await eventually(async () => (await verifiedBytes(pair)).every((bytes) => bytes === 2016))
    await eventually(async () => (await pair.a.store.readLedger(LINK_ID)).bytes.dropped === 32)
  })
})
