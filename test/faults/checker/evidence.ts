import type { AuditEntry } from '../../../src/ports/audit.ts'
import type { Ledger } from '../../../src/model/ledger.ts'
import type { Epoch, LaneName, LaneState } from '../../../src/model/lane.ts'
import type { LedgerRecount } from '../../../src/ports/lane-store.ts'
import type { Doubt, Draw, Fetch, Leak, Restore, SiteName, Start, Terms } from '../record.ts'

/** What the store of one site holds after the KMEs were stopped in order. */
export interface StoreFacts {
  /** What `PRAGMA integrity_check` said; `ok` is the only good one. */
  readonly integrity: string
  readonly epoch: Epoch | null
  readonly lanes: Readonly<Record<LaneName, LaneState>>
  readonly ledger: Ledger
  readonly recount: LedgerRecount['rows']
  /** Deliveries and drops that the peer was not told of. */
  readonly unconfirmed: number
  readonly pendingDrops: number
  readonly audit: readonly AuditEntry[]
}

/** Everything that the checker judges. */
export interface Evidence {
  readonly terms: Terms
  readonly draws: readonly Draw[]
  readonly fetches: readonly Fetch[]
  readonly restores: readonly Restore[]
  readonly doubts: readonly Doubt[]
  readonly starts: readonly Start[]
  /** By fingerprint. */
  readonly windows: ReadonlyMap<string, BigUint64Array>
  readonly stores: Readonly<Record<SiteName, StoreFacts>>
  readonly leaks: readonly Leak[]
  /** What a KME wrote or did that none should: stacks, lines of level `error`, an end by itself. */
  readonly complaints: readonly string[]
}

export type Rule = 'P1' | 'P2' | 'P3' | 'P4' | 'P5' | 'P6' | 'P7' | 'P8' | 'store' | 'behaviour'

export interface Violation {
  readonly rule: Rule
  readonly message: string
}

export type Check = (evidence: Evidence) => readonly Violation[]

/** For a rule's messages: the violation with that text. */
export const breaking =
  (rule: Rule) =>
  (message: string): Violation => ({ rule, message })

/** Draws whose master has the keys. */
export const answeredDraws = ({ draws }: Evidence): readonly Draw[] =>
  draws.filter(({ outcome }) => outcome.result === 'answered')

/** The store of that site, as it is now, never heard of it: it was put back to a copy of before. */
export const isForgotten = (
  { restores }: Evidence,
  site: SiteName,
  { startedMs, endedMs }: Draw | Fetch,
): boolean =>
  restores.some(
    (restore) =>
      restore.site === site && endedMs >= restore.copiedMs && startedMs <= restore.resumedMs,
  )

export const answeredFetches = ({ fetches }: Evidence): readonly Fetch[] =>
  fetches.filter(({ outcome }) => outcome.result === 'answered')
