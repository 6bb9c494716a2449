import { timingSafeEqual } from 'node:crypto'
import { poly1305 } from '@noble/ciphers/_poly1305.js'
import type { Epoch } from '../model/lane.ts'
import type { LinkId } from '../model/ids.ts'
import type { Piece } from '../model/block.ts'
import { totalLengthBytes } from '../model/block.ts'

/**
 * Shows that both ends hold the same bytes without revealing any: the first 32 bytes of a batch are
 * sacrificed as a one-time key (r and s of Poly1305, RFC 8439) for a MAC over everything else. A
 * tag under a key that is used once reveals nothing but equality, whatever the adversary computes,
 * and two different batches get the same tag with a probability below 2^-86 for 1 MiB.
 */
export const PROOF_KEY_BYTES = 32

export interface BatchName {
  readonly linkId: LinkId
  readonly epoch: Epoch
  readonly batch: number
  readonly pieces: readonly Piece[]
}

/**
 * The tag of a batch. `materials` are the bytes of its pieces, in order, at least 32 bytes in all;
 * they are only read.
 */
export const proofTag = (name: BatchName, materials: readonly Buffer[]): Buffer => {
  if (totalLengthBytes(name.pieces) < PROOF_KEY_BYTES) throw new TypeError('no bytes for a key')
  const key = Buffer.alloc(PROOF_KEY_BYTES)
  const mac = takeKey(key, materials)
  const context = encodeName(name)
  const lengths = Buffer.alloc(8)
  lengths.writeBigUInt64BE(BigInt(context.length))
  const state = poly1305.create(key)
  state.update(lengths)
  state.update(context)
  for (const material of mac) state.update(material)
  const tag = Buffer.from(state.digest())
  state.destroy()
  key.fill(0)
  return tag
}

export const sameTag = (a: Buffer, b: Buffer): boolean =>
  a.length === b.length && timingSafeEqual(a, b)

/** Copies the first 32 bytes to `key`; returns what is left of the materials. */
const takeKey = (key: Buffer, materials: readonly Buffer[]): readonly Buffer[] => {
  let filled = 0
  return materials.map((material) => {
    const taken = Math.min(key.length - filled, material.length)
    material.copy(key, filled, 0, taken)
    filled += taken
    return material.subarray(taken)
  })
}

/** An encoding that is the same at both ends and different for different names. */
const encodeName = ({ linkId, epoch, batch, pieces }: BatchName): Buffer =>
  Buffer.from(
    JSON.stringify([
      linkId,
      epoch.counter,
      epoch.id,
      batch,
      pieces.map(({ ref, offset, lengthBytes }) => [
        ref.deviceId,
        ref.streamId,
        ref.vendorId,
        offset,
        lengthBytes,
      ]),
    ]),
    'utf8',
  )
