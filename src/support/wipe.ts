/** Overwrites key material that is no longer needed. Strings cannot be wiped: keys are never strings. */
export const wipe = (...buffers: readonly (Uint8Array | null | undefined)[]): void => {
  for (const buffer of buffers) buffer?.fill(0)
}
