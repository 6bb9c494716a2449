import { EMPTY_LANE, LANE_NAMES } from '../../model/lane.ts'
import type { ChunkKey, StoreTx } from '../store-tx.ts'
import { isOf } from './link-rows.ts'
import { joinKey, type MemoryTables } from './memory-tables.ts'

type LaneRows = Pick<
  StoreTx,
  | 'readLane'
  | 'writeLane'
  | 'insertStretch'
  | 'listStretches'
  | 'findStretches'
  | 'deleteStretches'
  | 'readChunk'
  | 'writeChunk'
  | 'deleteChunk'
  | 'listChunks'
  | 'deleteLanes'
>

export const laneRows = (tables: MemoryTables): LaneRows => ({
  readLane: (linkId, lane) => tables.lanes.get(joinKey(linkId, lane)) ?? EMPTY_LANE,
  writeLane: (linkId, lane, state) => {
    tables.lanes.set(joinKey(linkId, lane), state)
  },
  insertStretch: (linkId, stretch) => {
    const key = joinKey(linkId, stretch.lane)
    tables.stretches.set(key, [...(tables.stretches.get(key) ?? []), stretch])
  },
  listStretches: (linkId, lane) => tables.stretches.get(joinKey(linkId, lane)) ?? [],
  findStretches: (linkId, lane, range) =>
    (tables.stretches.get(joinKey(linkId, lane)) ?? []).filter(
      ({ start, end }) => start < range.end && end > range.start,
    ),
  deleteStretches: (linkId, lane, offset) => {
    const key = joinKey(linkId, lane)
    const stretches = tables.stretches.get(key) ?? []
    if ((stretches[0]?.end ?? Infinity) > offset) return
    tables.stretches.set(
      key,
      stretches.filter(({ end }) => end > offset),
    )
  },
  readChunk: (key) => tables.chunks.read(chunkKey(key)),
  writeChunk: (key, bytes) => {
    tables.chunks.write(chunkKey(key), bytes)
  },
  deleteChunk: (key) => {
    tables.chunks.delete(chunkKey(key))
  },
  listChunks: (linkId, lane) =>
    tables.chunks
      .lengths()
      .map(([key, lengthBytes]) => ({ ...splitChunkKey(key), lengthBytes }))
      .filter((chunk) => chunk.linkId === linkId && chunk.lane === lane)
      .map(({ number, lengthBytes }) => ({ number, lengthBytes }))
      .sort((a, b) => a.number - b.number),
  deleteLanes: (linkId) => {
    for (const lane of LANE_NAMES) {
      tables.lanes.delete(joinKey(linkId, lane))
      tables.stretches.delete(joinKey(linkId, lane))
    }
    for (const [key] of tables.chunks.lengths()) if (isOf(key, linkId)) tables.chunks.delete(key)
  },
})

const chunkKey = ({ linkId, lane, number, epoch }: ChunkKey): string =>
  joinKey(linkId, lane, number, epoch.id)

const splitChunkKey = (key: string): Pick<ChunkKey, 'linkId' | 'lane' | 'number'> => {
  const [linkId, lane, number] = JSON.parse(key) as [string, ChunkKey['lane'], number]
  return { linkId, lane, number }
}
