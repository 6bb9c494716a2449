/** Sizes are bits on the wire and bytes inside; the unit is always in the name. */

export const BITS_PER_BYTE = 8

export const bytesOfBits = (sizeBits: number): number => sizeBits / BITS_PER_BYTE
export const bitsOfBytes = (lengthBytes: number): number => lengthBytes * BITS_PER_BYTE

export const MS_PER_S = 1000
export const msOfSeconds = (seconds: number): number => seconds * MS_PER_S
export const secondsOfMs = (ms: number): number => ms / MS_PER_S
