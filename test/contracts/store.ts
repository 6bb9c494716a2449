import { describe } from '@jest/globals'
import { describeBatches } from './store-batches.ts'
import { describeBlocks } from './store-blocks.ts'
import { describeCommits } from './store-commits.ts'
import { describeDeliveries } from './store-deliveries.ts'
import { describeGrants } from './store-grants.ts'
import { describeLinks } from './store-links.ts'
import { describeRedelivery } from './store-redelivery.ts'
import { describeSaes } from './store-saes.ts'
import { describeSchedule } from './store-schedule.ts'
import { describeSelfLinks } from './store-self-links.ts'
import type { OpenStore } from './store-ends.ts'

/** What LaneStore and DeliveryStore promise, for every implementation. `open` gives an empty store. */
export const describeStore = (name: string, open: OpenStore): void => {
  describe(`${name} store`, () => {
    describeLinks(open)
    describeBlocks(open)
    describeBatches(open)
    describeSelfLinks(open)
    describeDeliveries(open)
    describeGrants(open)
    describeRedelivery(open)
    describeSaes(open)
    describeCommits(open)
    describeSchedule(open)
  })
}
