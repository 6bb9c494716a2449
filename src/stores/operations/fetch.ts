import { KmeError } from '../../errors.ts'
import { deliveryLengthBytes } from '../../model/delivery.ts'
import type { Moment } from '../../model/moment.ts'
import type { FetchedKeys, FetchRequest } from '../../ports/delivery-store.ts'
import { wipe } from '../../support/wipe.ts'
import type { DeliveryRow, EntitledSlave, StoreTx } from '../store-tx.ts'
import { auditDelivery } from './delivery-rows.ts'
import { findSlave, isAwaited, mayFetch, withFetched } from './entitlements.ts'
import { groupBy } from './group-by.ts'
import { changeLink, requireLink } from './guard.ts'
import { keepAnswer, repeatAnswer } from './redelivery.ts'

/** A key that is asked for, where the caller may have it. */
interface Wanted {
  readonly row: DeliveryRow
  readonly slave: EntitledSlave
  readonly index: number
  /** Its place in the question. */
  readonly position: number
}

type Found = Wanted | 'unauthorized' | 'not-found'

export const fetchKeys = (tx: StoreTx, request: FetchRequest, moment: Moment): FetchedKeys => {
  const rows = new Map<string, DeliveryRow | null>()
  const found = request.keys.map(({ deliveryId, index }, position): Found => {
    const id = deliveryId.toString('hex')
    if (!rows.has(id)) rows.set(id, tx.findDelivery(deliveryId))
    return find(request, rows.get(id) ?? null, { index, position }, moment)
  })
  if (found.includes('unauthorized')) return { outcome: 'unauthorized' }
  const wanted = found.filter((key) => typeof key !== 'string')
  const places = new Set(wanted.map(({ row, index }) => `${row.seq}/${index}`))
  if (places.size < request.keys.length) {
    return repeatAnswer(tx, request, [...rows.values()], moment) ?? { outcome: 'not-found' }
  }
  const keys = takeAll(tx, wanted, moment)
  const deliveries = [...rows.values()].filter((row) => row !== null)
  const windowMs = windowOf(request, deliveries)
  if (windowMs === 0) return { outcome: 'fetched', keys }
  try {
    keepAnswer(tx, { ...request, windowMs }, deliveries, keys, moment)
    return { outcome: 'fetched', keys, redeliveryWindowMs: windowMs }
  } catch (error) {
    wipe(...keys)
    throw error
  }
}

const windowOf = (
  { redeliveryWindowMs }: FetchRequest,
  deliveries: readonly DeliveryRow[],
): number =>
  redeliveryWindowMs ? Math.min(...deliveries.map(({ linkId }) => redeliveryWindowMs(linkId))) : 0

const find = (
  { sae, masterSaeId }: FetchRequest,
  row: DeliveryRow | null,
  { index, position }: { readonly index: number; readonly position: number },
  { runningMs }: Moment,
): Found => {
  if (!row || row.expiresMs <= runningMs || index >= row.delivery.keyCount) return 'not-found'
  const slave = findSlave(row.slaves, sae)
  if (!slave) return 'unauthorized'
  const isThere = row.delivery.master.saeId === masterSaeId && mayFetch(slave, index)
  return isThere ? { row, slave, index, position } : 'not-found'
}

const takeAll = (tx: StoreTx, wanted: readonly Wanted[], moment: Moment): readonly Buffer[] => {
  const keys: Buffer[] = wanted.map(({ row }) => Buffer.alloc(row.delivery.keyLengthBytes))
  try {
    for (const group of groupBy(wanted, ({ row }) => row.seq).values()) {
      takeOfDelivery(tx, group, keys, moment)
    }
    return keys
  } catch (error) {
    wipe(...keys)
    throw error
  }
}

/** Copies keys of one delivery out; what no slave waits for any more is erased here. */
const takeOfDelivery = (
  tx: StoreTx,
  group: readonly Wanted[],
  keys: readonly Buffer[],
  moment: Moment,
): void => {
  const [first] = group
  if (!first) return
  const { row, slave } = first
  const { keyLengthBytes, keyCount } = row.delivery
  const slaves = withFetched(
    row.slaves,
    slave,
    group.map(({ index }) => index),
  )
  const held = requireHeld(tx, row)
  try {
    let erasedBytes = 0
    for (const { index, position } of group) {
      const start = index * keyLengthBytes
      held.copy(keys[position] ?? Buffer.alloc(0), 0, start, start + keyLengthBytes)
      if (isAwaited(slaves, index)) continue
      held.fill(0, start, start + keyLengthBytes)
      erasedBytes += keyLengthBytes
    }
    const isDone = !Array.from({ length: keyCount }, (_, i) => i).some((i) => isAwaited(slaves, i))
    if (isDone) tx.deleteHeld(row.seq)
    else if (erasedBytes > 0) tx.writeHeld(row, held)
    tx.updateDelivery({ ...row, slaves })
    changeLink(tx, requireLink(tx, row.linkId), (change) => {
      change.touch()
      change.move('held', 'delivered', erasedBytes)
    })
  } finally {
    wipe(held)
  }
  auditDelivery(tx, row, 'fetched', moment, { saes: [slave.saeId], keyCount: group.length })
}

const requireHeld = (tx: StoreTx, row: DeliveryRow): Buffer => {
  const held = tx.readHeld(row)
  if (held?.length === deliveryLengthBytes(row.delivery)) return held
  wipe(held)
  throw new KmeError('STORE_CORRUPT', `link ${row.linkId}: a delivery has lost the keys it holds`)
}
