import { KmeError } from '../../errors.ts'
import type { Piece } from '../../model/block.ts'
import type { RegisteredSae } from '../../model/delivery.ts'
import type { RangeSet } from '../../model/range.ts'
import type { EntitledSlave } from '../store-tx.ts'

/**
 * What a column holds as JSON.
 * @throws KmeError STORE_CORRUPT where this program never wrote it so
 */
export const decodeJson = <Value>(text: string, read: (json: never) => Value): Value => {
  try {
    return read(JSON.parse(text) as never)
  } catch (cause) {
    const what = 'the store holds a list that is none: the file was changed from outside or damaged'
    throw new KmeError('STORE_CORRUPT', what, { cause })
  }
}

/** Lists that are read and written whole lie in one column, as JSON arrays without member names. */
type PieceJson = readonly [
  device: string,
  stream: string,
  vendor: string,
  offset: number,
  length: number,
]

const pieceToJson = ({ ref, offset, lengthBytes }: Piece): PieceJson => [
  ref.deviceId,
  ref.streamId,
  ref.vendorId,
  offset,
  lengthBytes,
]

const pieceOfJson = ([deviceId, streamId, vendorId, offset, lengthBytes]: PieceJson): Piece => ({
  ref: { deviceId, streamId, vendorId },
  offset,
  lengthBytes,
})

export const encodePieces = (pieces: readonly Piece[]): string =>
  JSON.stringify(pieces.map(pieceToJson))

export const decodePieces = (text: string): readonly Piece[] =>
  decodeJson(text, (pieces: readonly PieceJson[]) => pieces.map(pieceOfJson))

export const encodeGroups = (groups: readonly (readonly Piece[])[]): string =>
  JSON.stringify(groups.map((group) => group.map(pieceToJson)))

export const decodeGroups = (text: string): readonly (readonly Piece[])[] =>
  decodeJson(text, (groups: readonly (readonly PieceJson[])[]) =>
    groups.map((group) => group.map(pieceOfJson)),
  )

export const encodeRanges = (ranges: RangeSet): string =>
  JSON.stringify(ranges.map(({ start, end }) => [start, end]))

export const decodeRanges = (text: string): RangeSet =>
  decodeJson(text, (ranges: readonly (readonly [number, number])[]) =>
    ranges.map(([start, end]) => ({ start, end })),
  )

export const encodeSaes = (saes: readonly RegisteredSae[]): string =>
  JSON.stringify(saes.map(({ saeId, registrationId }) => [saeId, registrationId]))

export const decodeSaes = (text: string): readonly RegisteredSae[] =>
  decodeJson(text, (saes: readonly (readonly [string, string])[]) =>
    saes.map(([saeId, registrationId]) => ({ saeId, registrationId })),
  )

export const encodeSlaves = (slaves: readonly EntitledSlave[]): string =>
  JSON.stringify(
    slaves.map(({ saeId, registrationId, unfetched }) => [
      saeId,
      registrationId,
      unfetched.toString('base64'),
    ]),
  )

export const decodeSlaves = (text: string): readonly EntitledSlave[] =>
  decodeJson(text, (slaves: readonly (readonly [string, string, string])[]) =>
    slaves.map(([saeId, registrationId, unfetched]) => ({
      saeId,
      registrationId,
      unfetched: Buffer.from(unfetched, 'base64'),
    })),
  )
