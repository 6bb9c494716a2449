/** How long what was used counts: to a third within this time. */
const MEMORY_MS = 60_000

/** What was used lately, each byte counting the less the longer ago it was used. */
export class UseRate {
  #bytes = 0
  #atMs = 0

  add(bytes: number, nowMs: number): void {
    this.#bytes = this.bytes(nowMs) + bytes
    this.#atMs = nowMs
  }

  /** At the present rate as much will be used in the next minute. */
  bytes(nowMs: number): number {
    return this.#bytes * Math.exp(-Math.max(0, nowMs - this.#atMs) / MEMORY_MS)
  }
}
