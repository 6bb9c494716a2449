import type { Piece } from '../../model/block.ts'
import type { RegisteredSae } from '../../model/delivery.ts'
import type { RangeSet } from '../../model/range.ts'
import type { EntitledSlave } from '../store-tx.ts'

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
  (JSON.parse(text) as readonly PieceJson[]).map(pieceOfJson)

export const encodeGroups = (groups: readonly (readonly Piece[])[]): string =>
  JSON.stringify(groups.map((group) => group.map(pieceToJson)))

export const decodeGroups = (text: string): readonly (readonly Piece[])[] =>
  (JSON.parse(text) as readonly (readonly PieceJson[])[]).map((group) => group.map(pieceOfJson))

export const encodeRanges = (ranges: RangeSet): string =>
  JSON.stringify(ranges.map(({ start, end }) => [start, end]))

export const decodeRanges = (text: string): RangeSet =>
  (JSON.parse(text) as readonly (readonly [number, number])[]).map(([start, end]) => ({
    start,
    end,
  }))

export const encodeSaes = (saes: readonly RegisteredSae[]): string =>
  JSON.stringify(saes.map(({ saeId, registrationId }) => [saeId, registrationId]))

export const decodeSaes = (text: string): readonly RegisteredSae[] =>
  (JSON.parse(text) as readonly (readonly [string, string])[]).map(([saeId, registrationId]) => ({
    saeId,
    registrationId,
  }))

export const encodeSlaves = (slaves: readonly EntitledSlave[]): string =>
  JSON.stringify(
    slaves.map(({ saeId, registrationId, unfetched }) => [
      saeId,
      registrationId,
      unfetched.toString('base64'),
    ]),
  )

export const decodeSlaves = (text: string): readonly EntitledSlave[] =>
  (JSON.parse(text) as readonly (readonly [string, string, string])[]).map(
    ([saeId, registrationId, unfetched]) => ({
      saeId,
      registrationId,
      unfetched: Buffer.from(unfetched, 'base64'),
    }),
  )
