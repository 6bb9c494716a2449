import { KmeError } from '../../errors.ts'
import { emptyLedger, LEDGER_STATES, type Ledger, type LedgerState } from '../../model/ledger.ts'

/** The counters of a link while one operation changes them. */
export class LedgerEdit {
  readonly #bytes: Record<LedgerState, number>
  #receivedBytes: number
  #gapBlocks: number
  #gapBytes: number

  constructor(ledger: Ledger | null) {
    const { receivedBytes, bytes, gapBlocks, gapBytes } = ledger ?? emptyLedger()
    this.#bytes = { ...bytes }
    this.#receivedBytes = receivedBytes
    this.#gapBlocks = gapBlocks
    this.#gapBytes = gapBytes
  }

  receive(state: LedgerState, bytes: number): void {
    this.#receivedBytes += bytes
    this.#bytes[state] += bytes
  }

  move(from: LedgerState, to: LedgerState, bytes: number): void {
    if (this.#bytes[from] < bytes) {
      throw new KmeError(
        'STORE_CORRUPT',
        `the ledger has ${this.#bytes[from]} bytes ${from}, of which ${bytes} were to become ${to}`,
      )
    }
    this.#bytes[from] -= bytes
    this.#bytes[to] += bytes
  }

  gap(bytes: number): void {
    this.#gapBlocks += 1
    this.#gapBytes += bytes
  }

  bytesIn(state: LedgerState): number {
    return this.#bytes[state]
  }

  result(): Ledger {
    const bytes = Object.fromEntries(LEDGER_STATES.map((state) => [state, this.#bytes[state]]))
    return {
      receivedBytes: this.#receivedBytes,
      bytes: bytes as Record<LedgerState, number>,
      gapBlocks: this.#gapBlocks,
      gapBytes: this.#gapBytes,
    }
  }
}
