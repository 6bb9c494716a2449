import type { KmeId } from './ids.ts'
import { compareBytewise } from './ids.ts'
import { removeRanges, type RangeSet } from './range.ts'

/**
 * A link has two lanes, named after the end that owns them. The verifier is the KME whose ID sorts
 * first, bytewise: it composes batches and makes epochs; the other is the follower.
 */
export type LinkEnd = 'verifier' | 'follower'
export type LaneName = LinkEnd

export const LANE_NAMES: readonly LaneName[] = ['verifier', 'follower']

export const otherEnd = (end: LinkEnd): LinkEnd => (end === 'verifier' ? 'follower' : 'verifier')

/** Which end `kmeId` is on its link with `peerKmeId`. A link of a KME with itself is a verifier's. */
export const endOf = (kmeId: KmeId, peerKmeId: KmeId): LinkEnd =>
  compareBytewise(kmeId, peerKmeId) <= 0 ? 'verifier' : 'follower'

/** One life of the two lanes. A restore on either side ends it; offsets start again at 0 in the next. */
export interface Epoch {
  readonly counter: number
  /** Random, 32 hex digits: two epochs with one counter are told apart. */
  readonly id: string
}

export const sameEpoch = (a: Epoch | null, b: Epoch | null): boolean =>
  a === null || b === null ? a === b : a.counter === b.counter && a.id === b.id

/** Which ends of a link were restored or replaced before an epoch was made. */
export type RestoredEnds = LinkEnd | 'both'

export const restoredEnds = (restored: Readonly<Record<LinkEnd, boolean>>): RestoredEnds | null => {
  if (restored.verifier && restored.follower) return 'both'
  if (restored.verifier) return 'verifier'
  return restored.follower ? 'follower' : null
}

export const wasRestored = (ends: RestoredEnds | null, end: LinkEnd): boolean =>
  ends === end || ends === 'both'

export interface LaneState {
  /** Bytes ever appended in this epoch. */
  readonly appendedBytes: number
  /** Bytes whose append is known to be durable at both ends: only these are allocated from. */
  readonly usableBytes: number
  /** Allocated or dropped: never available again. */
  readonly consumed: RangeSet
  /**
   * Given by the owner to the other end to allocate from, as far as this end knows, and not consumed
   * here. Nothing of it ever goes back to the owner.
   */
  readonly granted: RangeSet
}

export const EMPTY_LANE: LaneState = {
  appendedBytes: 0,
  usableBytes: 0,
  consumed: [],
  granted: [],
}

/** A grant of fewer bytes costs more than it brings. */
export const LEAST_GRANT_BYTES = 4096

/** What the owner of a lane may allocate from. */
export const freeForOwner = ({ usableBytes, consumed, granted }: LaneState): RangeSet =>
  usableBytes === 0
    ? []
    : removeRanges(removeRanges([{ start: 0, end: usableBytes }], consumed), granted)
