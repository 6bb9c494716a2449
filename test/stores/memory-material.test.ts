import { expect, test } from '@jest/globals'
import { Journal } from '../../src/stores/memory/journal.ts'
import { MaterialTable } from '../../src/stores/memory/material-table.ts'
import { MemoryTable } from '../../src/stores/memory/memory-table.ts'
import { MemoryBackend } from '../../src/stores/memory/memory-backend.ts'
import { systemRandom } from '../../src/support/system-clock.ts'

test('rolling back brings back rows as they were, to a mark or to the beginning', () => {
  const journal = new Journal()
  const table = new MemoryTable<string, number>(journal)
  table.set('kept', 1)
  journal.commit()
  table.set('kept', 2)
  const { mark } = journal
  table.delete('kept')
  table.set('new', 3)
  journal.rollbackTo(mark)
  expect(table.entries()).toEqual([['kept', 2]])
  journal.rollbackTo(0)
  expect(table.entries()).toEqual([['kept', 1]])
})

test('key material that is replaced is wiped at the commit, what is undone at once', () => {
  const journal = new Journal()
  const table = new MemoryTable<string, Buffer>(journal)
  const [first, second, third] = [1, 2, 3].map((value) => Buffer.alloc(4, value))
  if (!first || !second || !third) throw new Error('no buffers')
  table.set('a', first)
  table.set('a', second)
  expect(first[0]).toBe(1)
  journal.commit()
  expect(first).toEqual(Buffer.alloc(4))
  table.set('a', third)
  journal.rollbackTo(0)
  expect(third).toEqual(Buffer.alloc(4))
  expect(table.get('a')).toEqual(Buffer.alloc(4, 2))
})

test('key material is copied in and out', () => {
  const table = new MaterialTable<string>(new Journal())
  const given = Buffer.alloc(4, 9)
  table.write('a', given)
  given.fill(0)
  const read = table.read('a')
  expect(read).toEqual(Buffer.alloc(4, 9))
  read?.fill(0)
  expect(table.read('a')).toEqual(Buffer.alloc(4, 9))
  table.wipeAll()
  expect(table.read('a')).toEqual(Buffer.alloc(4))
})

test('a savepoint that throws undoes its own writes, and the transaction goes on', () => {
  const backend = new MemoryBackend(systemRandom)
  backend.transact((tx) => {
    tx.writeRunningMs(1)
    expect(() =>
      tx.savepoint(() => {
        tx.writeRunningMs(2)
        throw new Error('no')
      }),
    ).toThrow('no')
    expect(tx.readMeta().runningMs).toBe(1)
    tx.savepoint(() => {
      tx.writeRunningMs(3)
    })
  })
  expect(backend.transact((tx) => tx.readMeta().runningMs)).toBe(3)
  expect(() =>
    backend.transact((tx) => {
      tx.writeRunningMs(4)
      throw new Error('whole')
    }),
  ).toThrow('whole')
  expect(backend.transact((tx) => tx.readMeta().runningMs)).toBe(3)
})
