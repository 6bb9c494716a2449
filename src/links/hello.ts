import { PROTOCOL_VERSIONS } from '../ports/peer.ts'
import { addRanges, contains, presentIn, removeRanges } from '../model/range.ts'
import { LANE_NAMES, sameEpoch } from '../model/lane.ts'
import type { Hello, KnownOfPeer } from '../ports/peer.ts'
import type { HelloAgreement, LinkSnapshot } from '../ports/lane-store.ts'
import type { LaneName } from '../model/lane.ts'
import type { RangeSet } from '../model/range.ts'

/**
 * Hello: a question with a nonce and an answer to it. This file decides, without side effects, what
 * the answer to our own question means.
 */
export type HelloDecision =
  /** Both ends name the same epoch: the link may speak. */
  | { readonly kind: 'agree'; readonly agreement: HelloAgreement; readonly version: number }
  /** The verifier makes the first epoch, or the follower takes over a later one. */
  | {
      readonly kind: 'begin'
      readonly counter: number
      readonly epochId: string | null
      readonly peer: KnownOfPeer
    }
  /** The peer is late: ask again. */
  | { readonly kind: 'wait'; readonly reason: string }
  /** One of the two stores was restored or replaced. */
  | { readonly kind: 'restored'; readonly who: 'self' | 'peer'; readonly reason: string }
  /** What the peer says is not allowed, or nothing that this version speaks. */
  | { readonly kind: 'refuse'; readonly reason: string }

export interface HelloContext {
  /** Our durable state when we asked: what the peer says of itself is compared with it. */
  readonly asked: LinkSnapshot
  /** Our durable state when the answer came: what the peer says of us is compared with it. */
  readonly now: LinkSnapshot
  readonly answer: Hello
}

/** What this end says of itself, as a question or as an answer. */
export const composeHello = (snapshot: LinkSnapshot, nonce: string): Hello => ({
  nonce,
  versions: PROTOCOL_VERSIONS,
  kmeId: snapshot.identity.kmeId,
  linkId: snapshot.identity.linkId,
  generation: snapshot.generation,
  life: snapshot.life,
  commitCounter: snapshot.commitCounter,
  epoch: snapshot.epoch,
  lastBatch: snapshot.lastBatch,
  lanes: snapshot.lanes,
  knownOfYou: snapshot.knownOfPeer,
})

export const judgeHello = (context: HelloContext): HelloDecision =>
  judgeParties(context) ?? judgeRestore(context) ?? judgeEpochs(context)

const commonVersion = (versions: readonly number[]): number | null => {
  const common = PROTOCOL_VERSIONS.filter((version) => versions.includes(version))
  return common.length === 0 ? null : Math.max(...common)
}

const judgeParties = ({ asked, answer }: HelloContext): HelloDecision | null => {
  const { linkId, peerKmeId } = asked.identity
  if (answer.kmeId !== peerKmeId || answer.linkId !== linkId) {
    return {
      kind: 'refuse',
      reason: `the peer answers as KME ${answer.kmeId} on link ${answer.linkId}`,
    }
  }
  if (commonVersion(answer.versions) !== null) return null
  return {
    kind: 'refuse',
    reason: `no common protocol version: here ${PROTOCOL_VERSIONS.join(', ')}, there ${answer.versions.join(', ')}`,
  }
}

/** An end whose generation is another, or whose life or commit counter is below the one known, lost what it said. */
const isBehind = (
  known: KnownOfPeer,
  present: { readonly generation: string; readonly life: number; readonly commitCounter: number },
): boolean =>
  known.generation !== present.generation ||
  present.life < known.life ||
  present.commitCounter < known.commitCounter

const judgeRestore = ({ asked, now, answer }: HelloContext): HelloDecision | null => {
  if (asked.knownOfPeer && isBehind(asked.knownOfPeer, answer)) {
    return { kind: 'restored', who: 'peer', reason: "the peer's store is not the one known here" }
  }
  if (answer.knownOfYou && isBehind(answer.knownOfYou, now)) {
    return { kind: 'restored', who: 'self', reason: 'the peer knows a later state of this store' }
  }
  return null
}

const judgeEpochs = (context: HelloContext): HelloDecision => {
  const { asked, answer } = context
  if (answer.epoch && sameEpoch(asked.epoch, answer.epoch)) return agree(context)
  return asked.end === 'verifier' ? verifierMeets(context) : followerMeets(context)
}

const verifierMeets = ({ asked, answer }: HelloContext): HelloDecision => {
  if (!asked.epoch && !answer.epoch) return begin(1, null, answer)
  if (!answer.epoch || (asked.epoch && answer.epoch.counter < asked.epoch.counter)) {
    return { kind: 'wait', reason: 'the peer has not begun the epoch yet' }
  }
  // Only this end makes epochs: it once made this one, and has forgotten.
  return {
    kind: 'restored',
    who: 'self',
    reason: 'the peer has an epoch that this store does not know',
  }
}

const followerMeets = ({ asked, answer }: HelloContext): HelloDecision => {
  if (!answer.epoch) return { kind: 'wait', reason: 'the peer has not made an epoch yet' }
  if (!asked.epoch || answer.epoch.counter > asked.epoch.counter) {
    return begin(answer.epoch.counter, answer.epoch.id, answer)
  }
  return { kind: 'restored', who: 'peer', reason: 'the peer has forgotten the present epoch' }
}

const peerAsTold = (answer: Hello): KnownOfPeer => ({
  generation: answer.generation,
  life: answer.life,
  commitCounter: answer.commitCounter,
})

const begin = (counter: number, epochId: string | null, answer: Hello): HelloDecision => ({
  kind: 'begin',
  counter,
  epochId,
  peer: peerAsTold(answer),
})

const agree = ({ now, answer }: HelloContext): HelloDecision => {
  const adopt: Partial<Record<LaneName, RangeSet>> = {}
  for (const lane of LANE_NAMES) {
    const unknownHere = consumedThereOnly(now, answer, lane)
    if (!contains([{ start: 0, end: now.lanes[lane].appendedBytes }], hull(unknownHere))) {
      return {
        kind: 'refuse',
        reason: 'the peer knows use of a lane beyond what this end appended',
      }
    }
    if (unknownHere.length > 0) adopt[lane] = unknownHere
  }
  return {
    kind: 'agree',
    version: commonVersion(answer.versions) ?? 0,
    agreement: {
      peer: peerAsTold(answer),
      adopt,
      closedBatch: now.end === 'follower' ? Math.min(answer.lastBatch, now.lastBatch) : null,
    },
  }
}

/** What only this end allocates from, and only the peer knows as consumed. */
const consumedThereOnly = (now: LinkSnapshot, answer: Hello, lane: LaneName): RangeSet => {
  const { consumed, granted } = now.lanes[lane]
  const there = answer.lanes[lane].consumed
  // `granted` is what is not consumed here.
  return lane === now.end
    ? removeRanges(removeRanges(there, consumed), granted)
    : addRanges(
        [],
        granted.flatMap((range) => presentIn(there, range)),
      )
}

const hull = (set: RangeSet): { start: number; end: number } => ({
  start: set[0]?.start ?? 0,
  end: set.at(-1)?.end ?? 0,
})
