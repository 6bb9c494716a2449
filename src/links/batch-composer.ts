import type { MatchedPieces, Proposal } from '../ports/lane-store.ts'
import type { LinkState, Session } from './link-state.ts'
import { refKey, totalLengthBytes } from '../model/block.ts'
import type { BatchEffects } from './batch-effects.ts'
import { KmeError } from '../errors.ts'
import type { LinkParts } from './link-parts.ts'
import type { Messenger } from './messenger.ts'
import type { Piece } from '../model/block.ts'
import { proofTag } from './equality-proof.ts'
import { wipe } from '../support/wipe.ts'

/** Proving and storing a batch is one step of both ends' event loops; a larger block is a batch by itself. */
export const MOST_BATCH_BYTES = 256 * 1024
export const MOST_BATCH_PIECES = 1024
const FULL_BATCH_BYTES = 4096
const LEAST_BATCH_BYTES = 256
const OLDEST_WAIT_MS = 2_000
const RETRY_MS = 500

export interface ComposerParts {
  readonly parts: LinkParts
  readonly state: LinkState
  readonly messenger: Messenger
  readonly effects: BatchEffects
}

/** The verifier's work: composes batches of what both ends hold, proposes them, follows the verdict. */
export class BatchComposer {
  readonly #parts: LinkParts
  readonly #state: LinkState
  readonly #messenger: Messenger
  readonly #effects: BatchEffects

  constructor(work: ComposerParts) {
    this.#parts = work.parts
    this.#state = work.state
    this.#messenger = work.messenger
    this.#effects = work.effects
  }

  /** One batch at most; returns in how many milliseconds there may be another, 0 for at once, null for not by itself. */
  async pass(session: Session): Promise<number | null> {
    const { store, settings } = this.#parts
    // A proposal without a verdict is sent again as it was: another tag under its key would reveal key.
    const snapshot = await store.readLink(settings.linkId)
    this.#state.learn(snapshot)
    if (snapshot.openProposal) return this.#propose(session, snapshot.openProposal)
    const matched = await store.listMatched(settings.linkId, {
      maxBytes: MOST_BATCH_BYTES,
      maxPieces: MOST_BATCH_PIECES,
    })
    const [suspect] = matched.suspects
    if (suspect) return this.#open(session, suspect, snapshot.lastBatch + 1)
    const waitMs = this.#waitMs(matched)
    if (waitMs === 0) return this.#open(session, matched.pieces, snapshot.lastBatch + 1)
    return waitMs
  }

  /** Until the pieces are worth a batch: 0 now, null not before more comes. */
  #waitMs({ pieces, oldestReceivedMs }: MatchedPieces): number | null {
    const lengthBytes = totalLengthBytes(pieces)
    if (lengthBytes < LEAST_BATCH_BYTES || oldestReceivedMs === null) return null
    if (lengthBytes >= FULL_BATCH_BYTES) return 0
    const ageMs = this.#parts.now().runningMs - oldestReceivedMs
    return Math.max(0, OLDEST_WAIT_MS - ageMs)
  }

  async #open(session: Session, pieces: readonly Piece[], batch: number): Promise<number | null> {
    const { store, settings } = this.#parts
    const materials = await store.readPieces(settings.linkId, pieces)
    try {
      const present = materials.filter((material) => material !== null)
      // Something of it has just been quarantined or dropped: look again.
      if (present.length < pieces.length) return 0
      const tag = proofTag(
        { linkId: settings.linkId, epoch: session.epoch, batch, pieces },
        present,
      )
      const proposal = { batch, pieces, tag }
      await store.openProposal(this.#state.ownWriteOf(session), proposal)
      return await this.#propose(session, proposal)
    } finally {
      wipe(...materials)
    }
  }

  async #propose(session: Session, proposal: Proposal): Promise<number | null> {
    const answer = await this.#messenger.ask(session, { kind: 'proposal', ...proposal })
    if (answer.result === 'retry' || answer.result === 'stale') return RETRY_MS
    if (answer.result !== 'verdict') {
      throw new KmeError(
        'PROTOCOL',
        `batch ${String(proposal.batch)} was answered ${answer.result}`,
      )
    }
    if (answer.verdict.outcome === 'lacking') checkMissing(proposal, answer.verdict.missing)
    const effect = await this.#parts.store.closeProposal(
      this.#state.ownWriteOf(session),
      proposal.batch,
      answer.verdict,
    )
    this.#effects.apply(effect)
    return 0
  }
}

const checkMissing = (proposal: Proposal, missing: readonly Piece['ref'][]): void => {
  const proposed = new Set(proposal.pieces.map(({ ref }) => refKey(ref)))
  if (missing.length === 0 || !missing.every((ref) => proposed.has(refKey(ref)))) {
    throw new KmeError('PROTOCOL', `batch ${String(proposal.batch)} lacks what was not proposed`)
  }
}
