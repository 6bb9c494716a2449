import type { AllocationRequest } from './lane-allocator.ts'
import { KmeError } from '../errors.ts'
import { LaneAllocator } from './lane-allocator.ts'
import { LEAST_GRANT_BYTES, type LaneName } from '../model/lane.ts'
import type {
  AppliedGrant,
  LaneGrant,
  LaneStore,
  LaneStretch,
  LinkSnapshot,
} from '../ports/lane-store.ts'
import type { LinkId } from '../model/ids.ts'
import { coveredBytes, type Range } from '../model/range.ts'
import type { LaneDrop } from '../ports/delivery-store.ts'

export interface TakenRange {
  readonly lane: LaneName
  readonly range: Range
}

/** Who is told of how much key is used here. */
export interface UseWatcher {
  taken(lengthBytes: number): void
  /** There was not enough for a request of that length. */
  short(lengthBytes: number): void
}

/**
 * What this KME allocates from: the lanes that it owns, on a link with itself both; then what the
 * peer has granted of its lane.
 */
export class OwnLanes {
  readonly #owned: readonly LaneName[]
  readonly #granting: LaneName | null
  readonly #maxAgeMs: number | null
  #allocators: readonly LaneAllocator[] = []
  #watcher: UseWatcher | null = null

  /** `maxAgeMs`: older bytes are never taken. `granting`: the lane of which the peer may grant ranges. */
  constructor(
    owned: readonly LaneName[],
    maxAgeMs: number | null = null,
    granting: LaneName | null = null,
  ) {
    this.#owned = owned
    this.#maxAgeMs = maxAgeMs
    this.#granting = granting
  }

  watch(watcher: UseWatcher): void {
    this.#watcher = watcher
  }

  /**
   * Starts from the durable state. What an earlier session took was queued at the store before this
   * read, so the state has it, or it is never committed: a commit names its session.
   */
  async reset(store: LaneStore, linkId: LinkId): Promise<void> {
    const names = this.#granting ? [...this.#owned, this.#granting] : this.#owned
    // Asked for in one turn, the reads see one state: no write comes between, whatever commits they share.
    const [snapshot, ...stretches] = await Promise.all([
      store.readLink(linkId),
      ...names.map((name) => store.listStretches(linkId, name)),
    ])
    this.#allocators = names.map((name, i) => {
      const role = name === this.#granting ? 'grantee' : 'owner'
      return new LaneAllocator(name, snapshot.lanes[name], stretches[i] ?? [], role)
    })
  }

  extend(snapshot: LinkSnapshot, appended: readonly LaneStretch[]): void {
    for (const allocator of this.#allocators) {
      allocator.extend(
        snapshot.lanes[allocator.lane].usableBytes,
        appended.filter((stretch) => stretch.lane === allocator.lane),
      )
    }
  }

  /** The peer has granted more of its lane. */
  addGrant({ added, stretches }: AppliedGrant): void {
    this.#allocatorOf(this.#granting)?.addGrant(added, stretches)
  }

  /** Bytes that can be taken, over all lanes. */
  get freeBytes(): number {
    return this.#allocators.reduce((sum, { freeBytes }) => sum + freeBytes, 0)
  }

  countKeys(keyLengthBytes: number): number {
    return this.#allocators.reduce((sum, lane) => sum + lane.countKeys(keyLengthBytes), 0)
  }

  /** @throws KmeError KEYS_EXHAUSTED, OPTIONS_NOT_MET: nothing was taken */
  take(request: AllocationRequest): TakenRange {
    this.#retire(request.nowMs)
    let tooOld = false
    for (const allocator of this.#allocators) {
      const allocation = allocator.take(request)
      if (allocation.outcome === 'taken') {
        this.#watcher?.taken(request.lengthBytes)
        return { lane: allocator.lane, range: allocation.range }
      }
      tooOld ||= allocation.outcome === 'too-old'
    }
    this.#watcher?.short(request.lengthBytes)
    if (tooOld) {
      throw new KmeError('OPTIONS_NOT_MET', 'the key that is next was received too long ago')
    }
    throw new KmeError('KEYS_EXHAUSTED', 'not enough key on the link; try again later')
  }

  /**
   * Takes about half of what the own lane has beyond `keepBytes`, and no more than is wanted, to be
   * granted to the peer; null where that is too little.
   */
  takeForGrant(wantedBytes: number, keepBytes: number): LaneGrant | null {
    const [lane] = this.#owned
    const allocator = this.#allocatorOf(lane)
    if (!lane || !allocator) return null
    const spareBytes = allocator.freeBytes - keepBytes
    if (spareBytes < LEAST_GRANT_BYTES) return null
    const range = allocator.takeForGrant(Math.min(wantedBytes, Math.floor(spareBytes / 2)))
    return range && { lane, range }
  }

  /** Takes bytes that have grown too old, at most so many, for the store to drop them. */
  takeAged(nowMs: number, mostBytes: number): readonly LaneDrop[] {
    this.#retire(nowMs)
    let openBytes = mostBytes
    return this.#allocators.flatMap((allocator) => {
      const ranges = allocator.takeAged(openBytes)
      openBytes -= coveredBytes(ranges)
      return ranges.map((range) => ({ lane: allocator.lane, range }))
    })
  }

  /** When the next bytes grow too old, or before that; Infinity where none ever do. */
  get nextAgedMs(): number {
    const oldestMs = Math.min(...this.#allocators.map((allocator) => allocator.oldestMs))
    return this.#maxAgeMs === null ? Infinity : oldestMs + this.#maxAgeMs
  }

  #retire(nowMs: number): void {
    if (this.#maxAgeMs === null) return
    for (const allocator of this.#allocators) allocator.retire(nowMs - this.#maxAgeMs)
  }

  #allocatorOf(lane: LaneName | null | undefined): LaneAllocator | undefined {
    return this.#allocators.find((allocator) => allocator.lane === lane)
  }
}
