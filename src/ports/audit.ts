import type { LinkId, SaeId } from '../model/ids.ts'

/** What a row of the record says. It never holds key material. */
export interface AuditFacts {
  /** Wall-clock time in milliseconds since 1970. */
  readonly atMs: number
  readonly action: AuditAction
  readonly linkId: LinkId
  /** Hex of the delivery ID: the key IDs are this one and the next ones, see model/key-id.ts. */
  readonly deliveryId: string
  readonly keyCount: number
  readonly keySizeBits: number
  readonly master: SaeId
  /** Whom the action concerns, see there; empty where nobody is named. */
  readonly saes: readonly SaeId[]
}

/**
 * Who got which key IDs, written in the same transaction as the change that it tells of: no key
 * byte leaves before its audit row is durable.
 *
 * The rows are a chain. `chain` is the SHA-256 of the previous row's 32 bytes (32 zero bytes before
 * the first row) followed by the row itself as UTF-8: the JSON array
 *
 *     [sequence, atMs, action, linkId, deliveryId, keyCount, keySizeBits, master, [sae, ...]]
 *
 * in the canonical form of RFC 8785 (no white space, numbers and strings as ECMAScript writes them).
 * So nobody changes, removes, adds or moves a row without changing every row after it, up to the
 * head; who has noted a head (sequence and chain) can tell. See audit/chain.ts.
 */
export interface AuditEntry extends AuditFacts {
  /** 1, 2, 3, ... in the store, without gaps. */
  readonly sequence: number
  /** 32 bytes. */
  readonly chain: Buffer
}

/**
 * Each row tells what the store has made durable, not what an SAE has received: that nobody here can
 * know. Key bytes may leave from the moment of their row on, and never before. So of a key
 *
 * - without `delivered` (or, at the other KME, `held`) nobody has had a byte;
 * - with `delivered`, its master may have it: the answer left, was lost on its way, or never left
 *   because the peer stayed silent (503) or the process ended. The bits are used up in each case,
 *   and a master that got no answer knows no key ID to hand on;
 * - with `delivered` and a later `refused` that names nobody, nobody has a byte of it, or ever will;
 * - without a `fetched` that names it, a slave has not had a byte.
 */
export type AuditAction =
  | 'delivered' // a range was allocated for the master; `saes`: all slaves, here and at the peer
  | 'held' // the peer's delivery was taken over for the slaves registered here, named in `saes`
  | 'fetched' // the slave in `saes` was given `keyCount` keys of the delivery, and may not ask again
  | 'redelivered' // the slave in `saes` repeated its request in the redelivery window, and got the same answer
  | 'refused' // the peer refused it: it ended whole; or, where `saes` names slaves at the peer, for them
  | 'expired' // its time to live is over: who has not fetched by now never will
  | 'dropped' // this store was restored: what its slaves had not fetched is gone

/** Reads the record; writing is part of the store's operations. */
export interface AuditTrail {
  /** Entries with a sequence above `after`, oldest first, at most `limit`. */
  readAudit(after: number, limit: number): Promise<readonly AuditEntry[]>
}
