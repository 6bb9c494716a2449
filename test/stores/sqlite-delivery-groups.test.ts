import { randomBytes } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import type { DeliveryRow, StoreTx } from '../../src/stores/store-tx.ts'
import { makeDeliveryId } from '../../src/model/key-id.ts'
import { deliveryAt, makeSqliteFixture, type SqliteFixture } from './sqlite-fixture.ts'

const KEY_BYTES = 32

/** The n-th delivery of a life: its ID and its range follow those of the one before. */
const nth = (n: number, rising = 1000, changes: Partial<DeliveryRow> = {}) => {
  const row = deliveryAt(n * KEY_BYTES)
  const deliveryId = makeDeliveryId(rising + n, randomBytes(10))
  return { ...row, delivery: { ...row.delivery, deliveryId }, ...changes }
}

const inStore = async <T>(fixture: SqliteFixture, work: (tx: StoreTx) => T): Promise<T> => {
  const store = await fixture.open()
  try {
    return await store.transact(work)
  } finally {
    await store.close()
  }
}

const countRows = (fixture: SqliteFixture): number =>
  fixture.edit(
    (db) => (db.prepare('SELECT count(*) AS n FROM delivery_group').get() as { n: number }).n,
  )

const insertAll = (tx: StoreTx, count: number): { row: DeliveryRow; bytes: Buffer }[] =>
  Array.from({ length: count }, (_, n) => {
    const row = tx.insertDelivery(nth(n))
    const bytes = randomBytes(KEY_BYTES)
    tx.writeHeld(row, bytes)
    return { row, bytes }
  })

describe('deliveries of one commit', () => {
  test('share rows, and each is found, read, changed and ended by itself', async () => {
    await using fixture = await makeSqliteFixture()
    const all = await inStore(fixture, (tx) => insertAll(tx, 70))
    expect(countRows(fixture)).toBe(3)
    await inStore(fixture, (tx) => {
      for (const { row, bytes } of all) {
        const found = tx.findDelivery(row.delivery.deliveryId)
        expect(found).toEqual(row)
        expect(tx.readHeld(row)).toEqual(bytes)
      }
      tx.deleteHeld(all[3]!.row.seq)
      tx.deleteDelivery(all[4]!.row.seq)
      tx.updateDelivery({ ...all[5]!.row, remote: 'unconfirmed' })
    })
    await inStore(fixture, (tx) => {
      expect(tx.readHeld(all[3]!.row)).toBeNull()
      expect(tx.findDelivery(all[4]!.row.delivery.deliveryId)).toBeNull()
      expect(tx.readHeld(all[6]!.row)).toEqual(all[6]!.bytes)
      expect(tx.listUnconfirmed('a-b', 10).map(({ seq }) => seq)).toEqual([all[5]!.row.seq])
      expect(tx.listDeliveries('a-b', 0, 1000)).toHaveLength(69)
      for (const { row } of all) tx.deleteDelivery(row.seq)
    })
    expect(countRows(fixture)).toBe(0)
  })

  test('that do not follow one another, or differ in what a row has once, have rows of their own', async () => {
    await using fixture = await makeSqliteFixture()
    await inStore(fixture, (tx) => {
      tx.insertDelivery(nth(0))
      tx.insertDelivery(nth(2)) // a gap in IDs and ranges
      tx.insertDelivery(nth(3, 1000, { expiresMs: 1 }))
      tx.insertDelivery(nth(4, 1000, { expiresMs: 1, remoteKmeId: 'kme-b' }))
      tx.insertDelivery(nth(5, 5000, { expiresMs: 1, remoteKmeId: 'kme-b' }))
    })
    expect(countRows(fixture)).toBe(5)
  })

  test('are found among those of another KME whose IDs lie between theirs', async () => {
    await using fixture = await makeSqliteFixture()
    const rows = await inStore(fixture, (tx) => [
      ...Array.from({ length: 8 }, (_, n) => tx.insertDelivery(nth(n))),
      ...Array.from({ length: 8 }, (_, n) => tx.insertDelivery(nth(n, 1003, { linkId: 'a-c' }))),
    ])
    expect(countRows(fixture)).toBe(2)
    await inStore(fixture, (tx) => {
      for (const row of rows) expect(tx.findDelivery(row.delivery.deliveryId)).toEqual(row)
      expect(tx.findDelivery(makeDeliveryId(1004, randomBytes(10)))).toBeNull()
    })
  })

  test('are as they were when a part of the transaction is undone, whatever was listed meanwhile', async () => {
    await using fixture = await makeSqliteFixture()
    const kept = await inStore(fixture, (tx) => insertAll(tx, 3))
    await inStore(fixture, (tx) => {
      const fourth = tx.savepoint(() => tx.insertDelivery(nth(3)))
      tx.savepoint(() => {
        tx.writeHeld(fourth, Buffer.alloc(KEY_BYTES, 4))
      })
      const undone = () =>
        tx.savepoint(() => {
          tx.insertDelivery(nth(4))
          tx.writeHeld(fourth, Buffer.alloc(KEY_BYTES, 5))
          tx.deleteDelivery(kept[0]!.row.seq)
          tx.updateDelivery({ ...kept[1]!.row, remote: 'unconfirmed' })
          // Lists look into the database, where all of this is by now.
          expect(tx.listUnconfirmed('a-b', 10)).toHaveLength(1)
          expect(tx.listDeliveries('a-b', 0, 10)).toHaveLength(4)
          throw new Error('undone')
        })
      expect(undone).toThrow('undone')
      expect(tx.readHeld(fourth)).toEqual(Buffer.alloc(KEY_BYTES, 4))
      expect(tx.listDeliveries('a-b', 0, 10)).toHaveLength(4)
    })
    await inStore(fixture, (tx) => {
      expect(tx.listUnconfirmed('a-b', 10)).toEqual([])
      const listed = tx.listDeliveries('a-b', 0, 10)
      expect(listed.map(({ delivery }) => delivery.offset / KEY_BYTES)).toEqual([0, 1, 2, 3])
      for (const { row, bytes } of kept) expect(tx.readHeld(row)).toEqual(bytes)
      expect(tx.readHeld(listed[3]!)).toEqual(Buffer.alloc(KEY_BYTES, 4))
    })
  })

  test('are none of them there after a transaction that failed', async () => {
    await using fixture = await makeSqliteFixture()
    const store = await fixture.open()
    const id = makeDeliveryId(1000, randomBytes(10))
    const failing = () =>
      store.transact((tx) => {
        const row = nth(0)
        tx.insertDelivery({ ...row, delivery: { ...row.delivery, deliveryId: id } })
        throw new Error('no')
      })
    await expect(failing()).rejects.toThrow('no')
    await store.transact((tx) => {
      expect(tx.findDelivery(id)).toBeNull()
      expect(tx.listDeliveries('a-b', 0, 10)).toEqual([])
    })
    await store.close()
  })
})
