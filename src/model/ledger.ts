/**
 * Every byte ever received on a link is in exactly one of these states, and their sum is the
 * number of bytes received: also after a crash (promise P8).
 */
export const LEDGER_STATES = [
  'unverified', // received, not yet proven equal at both ends
  'sacrificed', // spent as one-time keys of equality proofs
  'ownLane', // verified, in the lane of this KME
  'otherLane', // verified, in the lane of the peer
  'granted', // of either lane, given by its owner to the other end to allocate from, not yet used
  'held', // for an SAE registered here that has not fetched
  'delivered', // gone to the last SAE here; also where a 503 or a crash leaves open whether it has them
  'expired', // held, and nobody fetched in time
  'dropped', // aged, refused, gone at the other end, or of an epoch that ended
  'quarantined', // failed a health test, or differs from the other end's
  'combined', // input of a combination of devices
] as const

export type LedgerState = (typeof LEDGER_STATES)[number]

export interface Ledger {
  /** Bytes ever received on the link. */
  readonly receivedBytes: number
  readonly bytes: Readonly<Record<LedgerState, number>>
  /** Blocks that the other end has and this one never got; counted beside the sum. */
  readonly gapBlocks: number
  /** Their bytes, as the other end told them. */
  readonly gapBytes: number
}

export const emptyLedger = (): Ledger => ({
  receivedBytes: 0,
  bytes: Object.fromEntries(LEDGER_STATES.map((state) => [state, 0])) as Record<
    LedgerState,
    number
  >,
  gapBlocks: 0,
  gapBytes: 0,
})

/** Bytes received less the bytes in all states: 0 where the ledger balances. */
export const ledgerDifference = (ledger: Ledger): number =>
  ledger.receivedBytes - LEDGER_STATES.reduce((sum, state) => sum + ledger.bytes[state], 0)
