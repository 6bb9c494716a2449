import type { AllocationRequest } from './lane-allocator.ts'
import { KmeError } from '../errors.ts'
import { LaneAllocator } from './lane-allocator.ts'
import type { LaneName } from '../model/lane.ts'
import type { LinkId } from '../model/ids.ts'
import type { LaneStore, LaneStretch, LinkSnapshot } from '../ports/lane-store.ts'
import type { Range } from '../model/range.ts'

export interface TakenRange {
  readonly lane: LaneName
  readonly range: Range
}

/** The lanes that this KME allocates from: its own; on a link with itself both. */
export class OwnLanes {
  readonly #names: readonly LaneName[]
  #allocators: readonly LaneAllocator[] = []

  constructor(names: readonly LaneName[]) {
    this.#names = names
  }

  /**
   * Starts from the durable state. What an earlier session took was queued at the store before this
   * read, so the state has it, or it is never committed: a commit names its session.
   */
  async reset(store: LaneStore, linkId: LinkId): Promise<void> {
    // Asked for in one turn, the reads see one state.
    const [snapshot, ...stretches] = await Promise.all([
      store.readLink(linkId),
      ...this.#names.map((name) => store.listStretches(linkId, name)),
    ])
    this.#allocators = this.#names.map(
      (name, i) => new LaneAllocator(name, snapshot.lanes[name], stretches[i] ?? []),
    )
  }

  /** Nothing can be taken until the next reset. */
  clear(): void {
    this.#allocators = []
  }

  extend(snapshot: LinkSnapshot, appended: readonly LaneStretch[]): void {
    for (const allocator of this.#allocators) {
      allocator.extend(
        snapshot.lanes[allocator.lane].usableBytes,
        appended.filter((stretch) => stretch.lane === allocator.lane),
      )
    }
  }

  countKeys(keyLengthBytes: number): number {
    return this.#allocators.reduce((sum, lane) => sum + lane.countKeys(keyLengthBytes), 0)
  }

  /** @throws KmeError KEYS_EXHAUSTED, OPTIONS_NOT_MET: nothing was taken */
  take(request: AllocationRequest): TakenRange {
    let tooOld = false
    for (const allocator of this.#allocators) {
      const allocation = allocator.take(request)
      if (allocation.outcome === 'taken') {
        return { lane: allocator.lane, range: allocation.range }
      }
      tooOld ||= allocation.outcome === 'too-old'
    }
    if (tooOld) {
      throw new KmeError('OPTIONS_NOT_MET', 'the key that is next was received too long ago')
    }
    throw new KmeError('KEYS_EXHAUSTED', 'not enough key on the link; try again later')
  }
}
