import { KmeError } from '../../errors.ts'
import { refKey, type BlockRef, type Piece } from '../../model/block.ts'
import { LANE_NAMES } from '../../model/lane.ts'
import type { LinkId } from '../../model/ids.ts'
import type {
  BatchEffect,
  DecidedProposal,
  LaneStretch,
  LinkSnapshot,
  OwnWrite,
  Proposal,
  Stamped,
} from '../../ports/lane-store.ts'
import type { BatchVerdict, Stamp } from '../../ports/peer.ts'
import type { StoreTx, VerdictRow } from '../store-tx.ts'
import { findBatchProblem, findPiece } from './batches.ts'
import { forgetSuspects } from './block-rows.ts'
import { appendPortions, partUnequal, portionsOf, spend, type Portion } from './portions.ts'
import { applyOwn, applyStamped } from './guard.ts'
import { closeUpTo, savedSnapshot } from './links.ts'
import type { LinkChange } from './link-change.ts'

/** Follower: see LaneStore. */
export const decideProposal = (
  tx: StoreTx,
  linkId: LinkId,
  stamp: Stamp,
  proposal: Proposal,
  verdict: BatchVerdict,
): Stamped<DecidedProposal> =>
  applyStamped(tx, linkId, stamp, (change) => {
    const known = tx.readVerdict(linkId)
    if (known?.batch === proposal.batch) return repeat(known, proposal)
    const problem = findProposalProblem(change, proposal)
    if (problem) return { kind: 'refused', reason: problem }
    // Whoever proposes this batch has closed the one before it.
    closeUpTo(change, change.row.lastBatch)
    return decide(change, proposal, verdict)
  })

const repeat = (known: VerdictRow, { tag }: Proposal): DecidedProposal =>
  known.tag.equals(tag)
    ? { kind: 'verdict', verdict: known.verdict, effect: null }
    : { kind: 'refused', reason: 'this batch was proposed with another tag' }

const findProposalProblem = (change: LinkChange, { batch, pieces }: Proposal): string | null => {
  if (change.end !== 'follower') return 'this end is the verifier'
  const next = change.row.lastBatch + 1
  return batch === next ? findBatchProblem(pieces) : `batch ${next} is the next`
}

const decide = (change: LinkChange, proposal: Proposal, given: BatchVerdict): DecidedProposal => {
  const { batch, pieces, tag } = proposal
  const held: Portion[] = []
  const missing: BlockRef[] = []
  const lacking = new Set(given.outcome === 'lacking' ? given.missing.map(refKey) : [])
  for (const { piece, spentBytes } of portionsOf(pieces)) {
    const row = findPiece(change.tx, change.linkId, piece)
    if (row && !lacking.has(refKey(piece.ref))) held.push({ piece, spentBytes, row })
    else missing.push(piece.ref)
  }
  // What was compared may have gone since it was read.
  const verdict: BatchVerdict =
    missing.length > 0 || given.outcome === 'lacking' ? { outcome: 'lacking', missing } : given
  const done = apply(change, held, verdict)
  change.tx.writeVerdict(change.linkId, { batch, tag, verdict })
  change.update({ lastBatch: batch })
  return { kind: 'verdict', verdict, effect: { ...done, snapshot: savedSnapshot(change) } }
}

interface Done {
  readonly appended: readonly LaneStretch[]
  readonly quarantined: readonly BlockRef[]
  /** To be proposed by themselves. */
  readonly suspects: readonly (readonly Piece[])[]
}

/** What both ends do with the bytes of a decided batch, each with those it holds. */
const apply = (change: LinkChange, held: readonly Portion[], verdict: BatchVerdict): Done => {
  const spent = held.map((portion) => spend(change, portion))
  switch (verdict.outcome) {
    case 'equal':
      return { appended: appendPortions(change, spent), quarantined: [], suspects: [] }
    case 'unequal':
      return { appended: [], ...partUnequal(change, spent) }
    case 'lacking':
      return { appended: [], quarantined: [], suspects: [] }
  }
}

/** Verifier: see LaneStore. A verdict that comes once more changes nothing. */
export const closeProposal = (
  tx: StoreTx,
  write: OwnWrite,
  batch: number,
  verdict: BatchVerdict,
): BatchEffect =>
  applyOwn(tx, write, (change) => {
    const proposal = tx.readProposal(change.linkId)
    if (!proposal && batch === change.row.lastBatch) {
      return { appended: [], quarantined: [], snapshot: savedSnapshot(change) }
    }
    if (proposal?.batch !== batch) throw new TypeError(`batch ${batch} is not open`)
    tx.writeProposal(change.linkId, null)
    forgetSuspects(
      change,
      proposal.pieces.map(({ ref }) => ref),
    )
    const { appended, quarantined, suspects } = apply(change, proposed(change, proposal), verdict)
    if (verdict.outcome === 'lacking')
      verdict.missing.forEach((ref) => {
        unmatch(change, ref)
      })
    if (suspects.length > 0) addSuspects(change, suspects)
    // The answer says that it is durable at the follower.
    for (const lane of LANE_NAMES) change.lanes.makeUsable(lane)
    change.update({ lastBatch: batch, closedTold: false })
    return { appended, quarantined, snapshot: savedSnapshot(change) }
  })

/** The blocks of our own proposal, which nothing but its verdict can end. */
const proposed = (change: LinkChange, { batch, pieces }: Proposal): readonly Portion[] =>
  portionsOf(pieces).map(({ piece, spentBytes }) => {
    const row = findPiece(change.tx, change.linkId, piece)
    if (row) return { piece, spentBytes, row: { ...row, suspect: false } }
    throw new KmeError('STORE_CORRUPT', `link ${change.linkId}: a block of batch ${batch} is gone`)
  })

/** The peer has to announce it before it is proposed again. */
const unmatch = (change: LinkChange, ref: BlockRef): void => {
  const row = change.tx.findBlock(change.linkId, ref)
  if (row?.state === 'unverified') change.tx.updateBlock({ ...row, matched: false })
}

const addSuspects = (change: LinkChange, groups: readonly (readonly Piece[])[]): void => {
  const { tx, linkId } = change
  for (const { ref } of groups.flat()) {
    const row = tx.findBlock(linkId, ref)
    if (row) tx.updateBlock({ ...row, suspect: true })
  }
  tx.writeSuspects(linkId, [...tx.readSuspects(linkId), ...groups])
}

export const applyClosed = (
  tx: StoreTx,
  linkId: LinkId,
  stamp: Stamp,
  batch: number,
): Stamped<LinkSnapshot> =>
  applyStamped(tx, linkId, stamp, (change) => {
    closeUpTo(change, batch)
    return savedSnapshot(change)
  })

export const markClosedTold = (tx: StoreTx, write: OwnWrite, batch: number): void => {
  applyOwn(tx, write, (change) => {
    const { lastBatch, closedTold } = change.row
    if (batch === lastBatch && !closedTold) change.update({ closedTold: true })
  })
}
