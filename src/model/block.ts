import type { DeviceId } from './ids.ts'

/**
 * Public name of a block, the same at both ends, never derived from key bytes and never used again
 * within an epoch. The three fields are compared one by one: "/" may occur in each.
 */
export interface BlockRef {
  readonly deviceId: DeviceId
  readonly streamId: string
  readonly vendorId: string
}

/** Characters of a stream's and of a block's name; neither is empty. */
export const MAX_REF_TEXT = 1024
/** The largest block that the two ends can tell each other of. */
export const MAX_BLOCK_BYTES = 64 * 1024 * 1024

/** One string per ref, different for different refs: for maps and sets. */
export const refKey = (ref: BlockRef): string =>
  JSON.stringify([ref.deviceId, ref.streamId, ref.vendorId])

/** Where a block comes from; anything but hardware is shown to whoever asks for status. */
export type Provenance = 'hardware' | 'simulated' | 'emulated'

/** A part of a block: what a batch is made of. Its end is always the end of the block. */
export interface Piece {
  readonly ref: BlockRef
  /** Bytes of the block before this one that were sacrificed in earlier batches. */
  readonly offset: number
  readonly lengthBytes: number
}

export const totalLengthBytes = (pieces: readonly { readonly lengthBytes: number }[]): number =>
  pieces.reduce((sum, piece) => sum + piece.lengthBytes, 0)
