import { PROTOCOL_VERSIONS } from '../ports/peer.ts'
import { addRanges, contains, presentIn, removeRanges } from '../model/range.ts'
import { LANE_NAMES, otherEnd, restoredEnds, sameEpoch, wasRestored } from '../model/lane.ts'
import type { Hello, KnownOfPeer } from '../ports/peer.ts'
import type { HelloAgreement, LinkSnapshot } from '../ports/lane-store.ts'
import type { LaneName, LinkEnd, RestoredEnds } from '../model/lane.ts'
import type { RangeSet } from '../model/range.ts'

/**
 * Hello: a question with a nonce and an answer to it. This file decides, without side effects, what
 * the answer to our own question means.
 */
export type HelloDecision =
  /** Both ends name the same epoch: the link may speak. */
  | { readonly kind: 'agree'; readonly agreement: HelloAgreement; readonly version: number }
  /** The verifier makes the next epoch, or the follower takes over a later one. */
  | EpochDecision
  /** The peer is late: ask again. */
  | { readonly kind: 'wait'; readonly reason: string }
  /** This store was restored or replaced: take a new generation, then ask again. */
  | { readonly kind: 'self-restored'; readonly reason: string }
  /** What the peer says is not allowed, or nothing that this version speaks. */
  | { readonly kind: 'refuse'; readonly reason: string }

export interface EpochDecision {
  readonly kind: 'begin'
  readonly counter: number
  /** Null: the verifier makes it. */
  readonly epochId: string | null
  readonly peer: KnownOfPeer
  /** Null: it is the first. */
  readonly afterRestoreOf: RestoredEnds | null
}

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
  restored: snapshot.restored,
  epoch: snapshot.epoch,
  epochAfterRestoreOf: snapshot.epochAfterRestoreOf,
  lastBatch: snapshot.lastBatch,
  lanes: snapshot.lanes,
  knownOfYou: snapshot.knownOfPeer,
})

export const judgeHello = (context: HelloContext): HelloDecision =>
  judgeParties(context) ?? judgeSelf(context) ?? judgeEpochs(context)

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

interface Standing {
  readonly generation: string
  readonly life: number
  readonly commitCounter: number
}

/** An end whose generation is another, or whose life or commit counter is below the one known, lost what it said. */
const isBehind = (known: KnownOfPeer, present: Standing): boolean =>
  isAnother(known, present) ||
  present.life < known.life ||
  present.commitCounter < known.commitCounter

const isAnother = (known: KnownOfPeer, { generation }: Standing): boolean =>
  known.generation !== null && known.generation !== generation

/** Whether the answer shows that this store lost something, and this store does not know it yet. */
const judgeSelf = (context: HelloContext): HelloDecision | null => {
  const { now, answer } = context
  const known = answer.knownOfYou
  if (known && isBehind(known, now) && !mayMeanFormer(context, known)) {
    return { kind: 'self-restored', reason: 'the peer knows a later state of this store' }
  }
  const reason = forgotBatches(context) ?? forgotEpoch(context)
  return reason === null || now.restored ? null : { kind: 'self-restored', reason }
}

/**
 * What the peer knows of a former generation, or of one that it left open, is known here: a new one
 * was taken, or even an epoch begun, that has yet to reach it.
 */
const mayMeanFormer = (context: HelloContext, { generation }: KnownOfPeer): boolean => {
  const { now } = context
  const hasRenewed = now.restored || (now.end === 'verifier' && isPending(context, 'verifier'))
  return hasRenewed && generation !== now.generation
}

/** In one epoch the follower has decided what the verifier has, or besides that the batch that is open there. */
const forgotBatches = ({ now, answer }: HelloContext): string | null => {
  const open = now.openProposal ? 1 : 0
  return inOneEpoch(now, answer) && answer.lastBatch > now.lastBatch + open
    ? 'the peer has decided a batch that this store does not know'
    : null
}

const inOneEpoch = (a: Pick<Hello, 'epoch'>, b: Pick<Hello, 'epoch'>): boolean =>
  a.epoch !== null && sameEpoch(a.epoch, b.epoch)

const forgotEpoch = (context: HelloContext): string | null =>
  context.now.end === 'verifier' ? verifierForgot(context) : followerForgot(context)

/** Only this end makes epochs: it once made this one. */
const verifierForgot = ({ asked, answer }: HelloContext): string | null =>
  answer.epoch && !sameEpoch(asked.epoch, answer.epoch) && !isLower(answer, asked)
    ? 'the peer has an epoch that this store does not know'
    : null

const followerForgot = ({ asked, answer }: HelloContext): string | null => {
  if (!isHigher(answer, asked)) return null
  // Unlike the peer itself, whoever names this end knows that it was restored.
  if (wasRestored(answer.epochAfterRestoreOf, 'follower')) {
    return 'the peer has made an epoch because this store was restored'
  }
  // Only this end's verdict decides a batch.
  return answer.lastBatch > 0 ? 'the peer has used an epoch that this store does not know' : null
}

const counterOf = ({ epoch }: Pick<Hello, 'epoch'>): number => epoch?.counter ?? 0
const isHigher = (a: Pick<Hello, 'epoch'>, b: Pick<Hello, 'epoch'>): boolean =>
  counterOf(a) > counterOf(b)
const isLower = (a: Pick<Hello, 'epoch'>, b: Pick<Hello, 'epoch'>): boolean => isHigher(b, a)

const judgeEpochs = (context: HelloContext): HelloDecision =>
  context.asked.end === 'verifier' ? verifierMeets(context) : followerMeets(context)

const verifierMeets = (context: HelloContext): HelloDecision => {
  const { asked, answer } = context
  const afterRestoreOf = restoredEnds({
    verifier: wasSelfRestored(context),
    follower: wasFollowerRestored(context),
  })
  if (afterRestoreOf !== null || (!asked.epoch && !answer.epoch)) {
    const counter = Math.max(counterOf(asked), counterOf(answer)) + 1
    return beginning(context, { counter, epochId: null, afterRestoreOf })
  }
  return sameEpoch(asked.epoch, answer.epoch)
    ? agree(context)
    : { kind: 'wait', reason: 'the peer has not begun the epoch yet' }
}

/** Whether the present epoch was made for a restore of that end, and the follower never had it. */
const isPending = ({ asked, answer }: HelloContext, end: LinkEnd): boolean =>
  isLower(answer, asked) && !asked.epochAgreed && wasRestored(asked.epochAfterRestoreOf, end)

const wasSelfRestored = (context: HelloContext): boolean =>
  context.now.restored || (mustMakeAnother(context) && isPending(context, 'verifier'))

const wasFollowerRestored = (context: HelloContext): boolean =>
  showsRestore(context) || (mustMakeAnother(context) && isPending(context, 'follower'))

const mustMakeAnother = (context: HelloContext): boolean =>
  context.now.restored || showsRestore(context)

/** Whether the follower was restored, as far as the present epoch does not say so already. */
const showsRestore = (context: HelloContext): boolean => {
  const { asked, answer } = context
  if (asked.knownOfPeer && isBehind(asked.knownOfPeer, answer)) return true
  if (answer.restored && !isPending(context, 'follower')) return true
  // Its counter may not have been told since; but its verdict was.
  if (inOneEpoch(asked, answer) && answer.lastBatch < asked.lastBatch) return true
  return asked.epochAgreed && isLower(answer, asked)
}

const followerMeets = (context: HelloContext): HelloDecision => {
  const { asked, now, answer } = context
  if (answer.restored) return waitForEpoch('the peer was restored')
  if (answer.epoch && isHigher(answer, asked)) return takeOver(context, answer.epoch)
  if (asked.knownOfPeer && isBehind(asked.knownOfPeer, answer)) {
    return waitForEpoch('the peer was restored, and has yet to notice it')
  }
  if (now.restored) return waitForEpoch('this store was restored')
  if (!answer.epoch) return waitForEpoch('the link is new')
  return sameEpoch(asked.epoch, answer.epoch)
    ? agree(context)
    : waitForEpoch('the peer has forgotten the present epoch, and has yet to notice it')
}

const waitForEpoch = (why: string): HelloDecision => ({
  kind: 'wait',
  reason: `${why}; waiting for the epoch that the peer makes`,
})

/** An epoch of before a restore holds key that may have been issued: it is never taken over. */
const takeOver = (
  context: HelloContext,
  { counter, id }: { readonly counter: number; readonly id: string },
): HelloDecision => {
  const { asked, now, answer } = context
  const { epochAfterRestoreOf: afterRestoreOf, knownOfYou } = answer
  const isForUs = wasRestored(afterRestoreOf, 'follower') && knownOfYou?.generation === null
  if (now.restored && !isForUs) return waitForEpoch('this store was restored')
  const lostSomething = asked.knownOfPeer && isBehind(asked.knownOfPeer, answer)
  if (lostSomething && !wasRestored(afterRestoreOf, 'verifier')) {
    return waitForEpoch('the peer was restored, and has yet to notice it')
  }
  return beginning(context, { counter, epochId: id, afterRestoreOf })
}

const peerAsTold = (answer: Hello): KnownOfPeer => ({
  generation: answer.generation,
  life: answer.life,
  commitCounter: answer.commitCounter,
})

/** The generation of a peer named restored is open: it may have yet to take it. */
const beginning = (
  { now, answer }: HelloContext,
  epoch: Pick<EpochDecision, 'counter' | 'epochId' | 'afterRestoreOf'>,
): HelloDecision => {
  const peer = peerAsTold(answer)
  const isOpen = wasRestored(epoch.afterRestoreOf, otherEnd(now.end))
  return { kind: 'begin', ...epoch, peer: isOpen ? { ...peer, generation: null } : peer }
}

const agree = ({ now, answer }: HelloContext): HelloDecision => {
  const adopt: Partial<Record<LaneName, RangeSet>> = {}
  for (const lane of LANE_NAMES) {
    const unknownHere = consumedThereOnly(now, answer, lane)
    if (!contains([{ start: 0, end: now.lanes[lane].appendedBytes }], hull(unknownHere))) {
      // Only this end allocates from there, and only from what it has appended.
      return {
        kind: 'self-restored',
        reason: 'the peer knows use of a lane beyond what this store appended',
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
