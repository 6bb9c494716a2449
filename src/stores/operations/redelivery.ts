import { hash } from 'node:crypto'
import { KmeError } from '../../errors.ts'
import type { Moment } from '../../model/moment.ts'
import type { FetchedKeys, FetchRequest } from '../../ports/delivery-store.ts'
import { wipe } from '../../support/wipe.ts'
import type { DeliveryRow, StoreTx } from '../store-tx.ts'
import { auditDelivery } from './delivery-rows.ts'
import { groupBy } from './group-by.ts'
import { changeLink, requireLink } from './guard.ts'

/**
 * Answers of *Get key with key IDs* that may be asked for again: by the same registration of the
 * same SAE, with the same master and the same key IDs in the same order. All of that is in the
 * digest, so whoever asks for anything else finds nothing.
 */
const digestOf = ({ sae, masterSaeId, keys }: FetchRequest): Buffer => {
  const asked = keys.map(({ deliveryId, index }) => [deliveryId.toString('hex'), index])
  const text = JSON.stringify([sae.saeId, sae.registrationId, masterSaeId, asked])
  return hash('sha256', text, 'buffer')
}

/** Keeps the answer to a request that has just been answered for the first time. */
export const keepAnswer = (
  tx: StoreTx,
  request: FetchRequest & { readonly windowMs: number },
  rows: readonly DeliveryRow[],
  keys: readonly Buffer[],
  { runningMs }: Moment,
): void => {
  const { windowMs } = request
  const expiresMs = Math.min(...rows.map((row) => row.expiresMs))
  const endsMs = Math.min(runningMs + windowMs, expiresMs)
  const keyLengths = keys.map((key) => key.length)
  const bytes = Buffer.concat(keys)
  try {
    tx.insertRedelivery(
      { digest: digestOf(request), windowMs, expiresMs, endsMs, keyLengths },
      bytes,
    )
  } finally {
    wipe(bytes)
  }
}

/**
 * The same answer once more, or null where there is none. Nothing changes but the audit record.
 * `rows`: the deliveries of the keys that are asked for, none of which is over.
 */
export const repeatAnswer = (
  tx: StoreTx,
  request: FetchRequest,
  rows: readonly (DeliveryRow | null)[],
  moment: Moment,
): FetchedKeys | null => {
  const deliveries = rows.filter((row) => row !== null)
  if (deliveries.length < rows.length) return null
  const kept = tx.findRedelivery(digestOf(request))
  if (kept === null || kept.endsMs <= moment.runningMs) return null
  const bytes = tx.readRedelivery(kept)
  const keys = bytes && split(bytes, kept.keyLengths)
  if (keys?.length !== request.keys.length) {
    wipe(bytes)
    throw new KmeError('STORE_CORRUPT', 'an answer that may be repeated has lost its keys')
  }
  record(tx, request, deliveries, moment)
  return { outcome: 'fetched', keys, redeliveryWindowMs: kept.windowMs }
}

/** Parts of the buffer, which are wiped one by one; null where the lengths are not those of the bytes. */
const split = (bytes: Buffer, lengths: readonly number[]): readonly Buffer[] | null => {
  let at = 0
  const keys = lengths.map((length) => {
    at += length
    return bytes.subarray(at - length, at)
  })
  return at === bytes.length ? keys : null
}

const record = (
  tx: StoreTx,
  { sae, keys }: FetchRequest,
  rows: readonly DeliveryRow[],
  moment: Moment,
): void => {
  const asked = groupBy(keys, ({ deliveryId }) => deliveryId.toString('hex'))
  for (const row of rows) {
    const keyCount = asked.get(row.delivery.deliveryId.toString('hex'))?.length ?? 0
    changeLink(tx, requireLink(tx, row.linkId), (change) => {
      change.touch()
    })
    auditDelivery(tx, row, 'redelivered', moment, { saes: [sae.saeId], keyCount })
  }
}

/** Erases answers whose window is over. Returns how many. */
export const endRedeliveries = (tx: StoreTx, moment: Moment, limit: number): number => {
  const over = tx.listEndedRedeliveries(moment.runningMs, limit)
  for (const seq of over) tx.deleteRedelivery(seq)
  return over.length
}
