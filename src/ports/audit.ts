import type { LinkId, SaeId } from '../model/ids.ts'

/**
 * Who got which key IDs, written in the same transaction as the change that it tells of: no key
 * byte leaves before its audit row is durable. A row never holds key material.
 */
export interface AuditEntry {
  /** 1, 2, 3, ... in the store. */
  readonly sequence: number
  /** Wall-clock time in milliseconds since 1970. */
  readonly atMs: number
  readonly action: AuditAction
  readonly linkId: LinkId
  /** Hex of the delivery ID: the key IDs are this one and the next ones, see model/key-id.ts. */
  readonly deliveryId: string
  readonly keyCount: number
  readonly keySizeBits: number
  readonly master: SaeId
  /** delivered, held: the slaves; fetched: the SAE that fetched; otherwise empty. */
  readonly saes: readonly SaeId[]
}

export type AuditAction =
  | 'delivered' // a range was allocated for the master SAE
  | 'held' // the peer's delivery was taken over for slaves registered here
  | 'fetched' // a slave SAE fetched keys
  | 'refused' // the peer refused the delivery: it ended whole
  | 'expired' // the delivery's time to live ended

/** Reads the record; writing is part of the store's operations. */
export interface AuditTrail {
  /** Entries with a sequence above `after`, oldest first, at most `limit`. */
  readAudit(after: number, limit: number): Promise<readonly AuditEntry[]>
}
