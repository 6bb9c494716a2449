/**
 * Wraps data keys under a key-encryption key (KEK). Asynchronous, because the KEK may live in an
 * HSM; today it comes from a file. Data keys never leave the process unwrapped.
 */
export interface Sealing {
  /** Public name of the KEK that wraps, kept beside each wrapped key; not derived from its bytes. */
  readonly kekId: string
  /** Names of all that unwrap: while a KEK is being replaced, the former one too. */
  readonly kekIds: readonly string[]
  /** Wraps a 32-byte data key, bound to `context` (the row it is stored in). */
  wrap(dataKey: Buffer, context: string): Promise<Buffer>
  /**
   * Unwraps what `wrap` returned when `kekId` was the KEK. The caller owns and wipes the result.
   * @throws KmeError SEALING_FAILED where the KEK or the context is another one, or a bit flipped
   */
  unwrap(kekId: string, wrapped: Buffer, context: string): Promise<Buffer>
  /** Wipes the KEK from memory. */
  close(): void
}
