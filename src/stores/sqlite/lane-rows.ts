import type { LaneName } from '../../model/lane.ts'
import { EMPTY_LANE } from '../../model/lane.ts'
import { SEAL_OVERHEAD_BYTES } from '../../sealing/envelope.ts'
import type { LaneStretch } from '../../ports/lane-store.ts'
import type { ChunkKey, StoreTx } from '../store-tx.ts'
import type { RowContext } from './context.ts'
import { RUN_SIZE, endedRuns } from './ended-runs.ts'
import { decodeRanges, encodeRanges } from './json.ts'
import type { RowName } from './sealed-rows.ts'
import { sealedRows } from './sealed-rows.ts'

interface LaneColumns {
  readonly appended: number
  readonly usable: number
  readonly consumed: string
  readonly granted: string
}

interface StretchColumns {
  readonly start_offset: number
  readonly end_offset: number
  readonly received_ms: number
}

interface ChunkColumns {
  readonly number: number
  readonly length: number
}

type LaneRows = Pick<StoreTx, 'readLane' | 'writeLane'>
type StretchRows = Pick<
  StoreTx,
  'insertStretch' | 'listStretches' | 'findStretches' | 'deleteStretches'
>
type ChunkRows = Pick<StoreTx, 'readChunk' | 'writeChunk' | 'deleteChunk' | 'listChunks'>

/** How far each lane is appended and consumed. */
export const laneRows = (context: RowContext): LaneRows => {
  const { db } = context
  const select = db.prepare<LaneColumns>(
    'SELECT appended, usable, consumed, granted FROM lane WHERE link = ? AND lane = ?',
  )
  const write = db.prepare(
    `INSERT OR REPLACE INTO lane (link, lane, appended, usable, consumed, granted)
     VALUES (?, ?, ?, ?, ?, ?)`,
  )
  return {
    readLane(linkId, lane) {
      const row = select.get(context.findLink(linkId), lane)
      if (row === undefined) return EMPTY_LANE
      return {
        appendedBytes: row.appended,
        usableBytes: row.usable,
        consumed: decodeRanges(row.consumed),
        granted: decodeRanges(row.granted),
      }
    },
    writeLane(linkId, lane, state) {
      const link = context.ensureLink(linkId)
      const { appendedBytes, usableBytes } = state
      const sets = [state.consumed, state.granted].map(encodeRanges)
      write.run(link, lane, appendedBytes, usableBytes, ...sets)
    },
  }
}

const stretchOf = (lane: LaneName, row: StretchColumns): LaneStretch => ({
  lane,
  start: row.start_offset,
  end: row.end_offset,
  receivedMs: row.received_ms,
})

/** When the bytes of lanes were received. */
export const stretchRows = (context: RowContext): StretchRows => {
  const { db } = context
  const select = db.prepare<StretchColumns>(
    `SELECT start_offset, end_offset, received_ms FROM stretch
     WHERE link = ? AND lane = ? ORDER BY start_offset`,
  )
  // The one that covers the start, and those that start in the range: they follow one another.
  const find = db.prepare<StretchColumns>(
    `SELECT start_offset, end_offset, received_ms FROM stretch
     WHERE link = ? AND lane = ? AND start_offset < ? AND end_offset > ? AND start_offset >= coalesce(
       (SELECT max(start_offset) FROM stretch WHERE link = ? AND lane = ? AND start_offset <= ?), 0)
     ORDER BY start_offset`,
  )
  const insert = db.prepare(
    `INSERT INTO stretch (link, lane, start_offset, end_offset, received_ms)
     VALUES (?, ?, ?, ?, ?)`,
  )
  // Stretches follow one another: those that end by an offset start below it.
  const remove = db.prepare(
    'DELETE FROM stretch WHERE link = ? AND lane = ? AND start_offset < ? AND end_offset <= ?',
  )
  return {
    insertStretch(linkId, { lane, start, end, receivedMs }) {
      insert.run(context.ensureLink(linkId), lane, start, end, receivedMs)
    },
    listStretches: (linkId, lane) =>
      select.all(context.findLink(linkId), lane).map((row) => stretchOf(lane, row)),
    findStretches(linkId, lane, { start, end }) {
      const link = context.findLink(linkId)
      const rows = find.all(link, lane, end, start, link, lane, start)
      return rows.map((row) => stretchOf(lane, row))
    },
    deleteStretches(linkId, lane, offset) {
      remove.run(context.findLink(linkId), lane, offset, offset)
    },
  }
}

const nameOf = ({ linkId, epoch, lane, number }: ChunkKey): RowName => [
  linkId,
  epoch.counter,
  epoch.id,
  lane,
  number,
]

const idIn = (run: number, number: number): number => {
  if (number < 0 || number >= RUN_SIZE) throw new TypeError('a chunk number has 32 bits')
  return run * RUN_SIZE + number
}

/** The sealed bytes of lanes. */
export const chunkRows = (context: RowContext): ChunkRows => {
  const { db } = context
  const rows = sealedRows(context, 'chunk', 'id')
  const list = db.prepare<ChunkColumns>(
    `SELECT chunk.id - run.number * ${String(RUN_SIZE)} AS number,
       length(chunk.sealed) - ${String(SEAL_OVERHEAD_BYTES)} AS length
     FROM chunk_run AS run JOIN chunk ON chunk.id >= run.number * ${String(RUN_SIZE)}
       AND chunk.id < (run.number + 1) * ${String(RUN_SIZE)}
     WHERE run.link = ? AND run.lane = ? ORDER BY chunk.id`,
  )
  return {
    readChunk: (key) => rows.read(idIn(context.findRun(key), key.number), nameOf(key)),
    writeChunk(key, bytes) {
      rows.write(idIn(context.ensureRun(key), key.number), nameOf(key), bytes)
    },
    deleteChunk(key) {
      rows.delete(idIn(context.findRun(key), key.number))
    },
    listChunks: (linkId, lane: LaneName) =>
      list
        .all(context.findLink(linkId), lane)
        .map(({ number, length }) => ({ number, lengthBytes: length })),
  }
}

/** Ends both lanes of a link: at once for all who read them, while their chunks are erased later. */
export const laneDeletion = (context: RowContext): Pick<StoreTx, 'deleteLanes'> => {
  const { db } = context
  const runs = db.prepare<{ number: number }>('SELECT number FROM chunk_run WHERE link = ?')
  const endRun = endedRuns(context, 'chunk')
  const rest = ['chunk_run', 'lane', 'stretch'].map((table) =>
    db.prepare(`DELETE FROM ${table} WHERE link = ?`),
  )
  return {
    deleteLanes(linkId) {
      const link = context.findLink(linkId)
      for (const { number } of runs.all(link)) endRun(number)
      for (const statement of rest) statement.run(link)
      context.forgetNumbers()
    },
  }
}
