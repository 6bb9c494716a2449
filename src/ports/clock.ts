/**
 * Time, passed in so that tests decide. No promise of the KME needs the wall clock: what expires,
 * expires in running time.
 */
export interface Clock {
  /** Milliseconds on a clock that only rises; its zero is arbitrary. */
  monotonicMs(): number
  /** Wall-clock time in milliseconds since 1970, for audit records and certificates only. */
  wallMs(): number
  /**
   * Calls `callback` once, after `delayMs`. The returned function cancels it; a timer never keeps
   * the process alive.
   */
  after(delayMs: number, callback: () => void): () => void
}

/** Random bytes of cryptographic quality. */
export interface Random {
  bytes(lengthBytes: number): Buffer
}
