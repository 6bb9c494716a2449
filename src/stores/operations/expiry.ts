import type { Moment } from '../../model/moment.ts'
import type { StoreTx } from '../store-tx.ts'
import { auditDelivery, heldBytes, rangeOfDelivery } from './delivery-rows.ts'
import { groupBy } from './group-by.ts'
import { changeLink, requireLink } from './guard.ts'
import { endRedeliveries } from './redelivery.ts'

export const expireDeliveries = (tx: StoreTx, moment: Moment, limit: number): number => {
  const ended = endDeliveries(tx, moment, limit)
  return ended + (ended < limit ? endRedeliveries(tx, moment, limit - ended) : 0)
}

export const nextExpiry = (tx: StoreTx): number | null => {
  const ends = [tx.nextExpiry(), tx.nextRedeliveryEnd()].filter((endMs) => endMs !== null)
  return ends.length === 0 ? null : Math.min(...ends)
}

const endDeliveries = (tx: StoreTx, moment: Moment, limit: number): number => {
  const rows = tx.listExpired(moment.runningMs, limit)
  for (const [linkId, ofLink] of groupBy(rows, (row) => row.linkId)) {
    changeLink(tx, requireLink(tx, linkId), (change) => {
      change.touch()
      for (const row of ofLink) {
        change.move('held', 'expired', heldBytes(row))
        if (row.remote === 'unconfirmed') {
          const { lane } = row.delivery
          tx.insertPendingDrop(linkId, { lane, range: rangeOfDelivery(row.delivery) })
        }
        tx.deleteDelivery(row.seq)
        auditDelivery(tx, row, 'expired', moment)
      }
    })
  }
  return rows.length
}
