import { hash } from 'node:crypto'
import type { AuditEntry, AuditFacts } from '../ports/audit.ts'

/** The end of the record at some moment: whoever noted it can tell later whether the record still has it. */
export type AuditHead = Pick<AuditEntry, 'sequence' | 'chain'>

/** The head of an empty record. */
export const EMPTY_RECORD: AuditHead = { sequence: 0, chain: Buffer.alloc(32) }

/** The head after a row with these facts; what is hashed is described in ports/audit.ts. */
export const nextHead = (head: AuditHead, facts: AuditFacts): AuditHead => {
  const sequence = head.sequence + 1
  const { atMs, action, linkId, deliveryId, keyCount, keySizeBits, master, saes } = facts
  const row = [sequence, atMs, action, linkId, deliveryId, keyCount, keySizeBits, master, saes]
  const text = Buffer.from(JSON.stringify(row), 'utf8')
  return { sequence, chain: hash('sha256', Buffer.concat([head.chain, text]), 'buffer') }
}

/**
 * Follows the record from one head to another.
 * @param entries the rows after `from`, in order
 * @param until the head that the record must reach; without it a record that lost its last rows is
 *   as sound as one that never had them
 * @returns the sequence number of the first row that is not the one that was written (one that is
 *   missing included), or null where there is none
 */
export const verifyChain = (
  entries: Iterable<AuditEntry>,
  from: AuditHead,
  until?: AuditHead,
): number | null => {
  let head = from
  for (const entry of entries) {
    const next = nextHead(head, entry)
    if (entry.sequence !== next.sequence || !entry.chain.equals(next.chain)) return next.sequence
    head = next
    if (until?.sequence === head.sequence && !until.chain.equals(head.chain)) return head.sequence
  }
  return until === undefined || until.sequence <= head.sequence ? null : head.sequence + 1
}
