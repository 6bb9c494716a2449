import { createHash } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { EMPTY_RECORD, nextHead, verifyChain, type AuditHead } from '../../src/audit/chain.ts'
import type { AuditEntry, AuditFacts } from '../../src/ports/audit.ts'

const facts = (i: number): AuditFacts => ({
  atMs: 1_800_000_000_000 + i,
  action: i % 2 === 0 ? 'delivered' : 'fetched',
  linkId: 'a-b',
  deliveryId: i.toString(16).padStart(32, '0'),
  keyCount: 1 + i,
  keySizeBits: 256,
  master: 'master',
  saes: ['one', 'two'],
})

const record = (length: number): AuditEntry[] => {
  let head: AuditHead = EMPTY_RECORD
  return Array.from({ length }, (_, i) => {
    head = nextHead(head, facts(i))
    return { ...facts(i), ...head }
  })
}

const headOf = (entries: readonly AuditEntry[]): AuditHead => entries.at(-1) ?? EMPTY_RECORD

const edits: readonly (readonly [string, Partial<AuditEntry>])[] = [
  ['sequence', { sequence: 77 }],
  ['time', { atMs: 1 }],
  ['action', { action: 'expired' }],
  ['link', { linkId: 'a-c' }],
  ['delivery', { deliveryId: 'f'.repeat(32) }],
  ['number of keys', { keyCount: 99 }],
  ['size', { keySizeBits: 128 }],
  ['master', { master: 'mallory' }],
  ['SAEs', { saes: ['one,two'] }],
  ['SAEs by one fewer', { saes: ['one'] }],
  ['chain', { chain: Buffer.alloc(32, 1) }],
]

describe('the chain of the audit record', () => {
  test('is SHA-256 over the chain before and the row as canonical JSON, from 32 zero bytes on', () => {
    const entry: AuditFacts = { ...facts(0), master: 'Zürich "1"\u0007', saes: ['a', 'b'] }
    const row =
      '[1,1800000000000,"delivered","a-b","00000000000000000000000000000000",1,256,' +
      '"Zürich \\"1\\"\\u0007",["a","b"]]'
    const expected = createHash('sha256').update(Buffer.alloc(32)).update(row, 'utf8').digest()
    expect(nextHead(EMPTY_RECORD, entry)).toEqual({ sequence: 1, chain: expected })
  })

  test('is sound as it was written, whole or from any head on', () => {
    const entries = record(9)
    expect(verifyChain([], EMPTY_RECORD, EMPTY_RECORD)).toBe(null)
    for (let i = 0; i <= entries.length; i += 1) {
      const from = headOf(entries.slice(0, i))
      expect(verifyChain(entries.slice(i), from, headOf(entries))).toBe(null)
      // A head noted in between is met on the way.
      expect(verifyChain(entries, EMPTY_RECORD, from)).toBe(null)
    }
  })

  test('tells of each row that is missing, the last ones by the head that was noted', () => {
    const entries = record(9)
    for (let i = 0; i < entries.length; i += 1) {
      const rest = entries.toSpliced(i, 1)
      expect(verifyChain(rest, EMPTY_RECORD, headOf(entries))).toBe(i + 1)
    }
    expect(verifyChain([], EMPTY_RECORD, headOf(entries))).toBe(1)
  })

  test.each(edits)('tells of a changed %s in any row', (_, edit) => {
    const entries = record(5)
    for (let i = 0; i < entries.length; i += 1) {
      const edited = entries.with(i, { ...entries[i]!, ...edit })
      expect(verifyChain(edited, EMPTY_RECORD)).toBe(i + 1)
    }
  })

  test('tells of rows that were swapped, doubled or slipped in', () => {
    const entries = record(6)
    for (let i = 0; i + 1 < entries.length; i += 1) {
      const swapped = entries.with(i, entries[i + 1]!).with(i + 1, entries[i]!)
      expect(verifyChain(swapped, EMPTY_RECORD)).toBe(i + 1)
      const doubled = entries.toSpliced(i, 0, entries[i]!)
      expect(verifyChain(doubled, EMPTY_RECORD)).toBe(i + 2)
    }
    const slipped = { ...facts(50), ...nextHead(entries[2]!, facts(50)) }
    expect(verifyChain(entries.toSpliced(3, 0, slipped), EMPTY_RECORD)).toBe(5)
  })

  test('tells of a record that was written anew from some row on, by any head noted after it', () => {
    const entries = record(6)
    const forged = entries.slice(0, 3)
    for (let i = 3; i < 6; i += 1) {
      const other = { ...facts(i), master: 'mallory' }
      forged.push({ ...other, ...nextHead(headOf(forged), other) })
    }
    expect(verifyChain(forged, EMPTY_RECORD)).toBe(null)
    for (const noted of entries.slice(3)) {
      expect(verifyChain(forged, EMPTY_RECORD, noted)).toBe(noted.sequence)
    }
  })
})
