import { PROOF_KEY_BYTES, proofTag, sameTag } from './equality-proof.ts'
import type { PeerAnswer, ProposalMessage, BatchVerdict, Stamp } from '../ports/peer.ts'
import type { BatchEffects } from './batch-effects.ts'
import type { LinkParts } from './link-parts.ts'
import { answerOf } from './answers.ts'
import { totalLengthBytes } from '../model/block.ts'
import { wipe } from '../support/wipe.ts'

/** The follower's work: compares a proposal with what it holds and answers, durable first. */
export class BatchJudge {
  readonly #parts: LinkParts
  readonly #effects: BatchEffects

  constructor(parts: LinkParts, effects: BatchEffects) {
    this.#parts = parts
    this.#effects = effects
  }

  async receive(stamp: Stamp, proposal: ProposalMessage): Promise<PeerAnswer> {
    if (totalLengthBytes(proposal.pieces) < PROOF_KEY_BYTES) {
      return { result: 'refused', reason: 'a proposal has at least 32 bytes' }
    }
    const { store, settings } = this.#parts
    const verdict = await this.#compare(stamp, proposal)
    // A repeated proposal is answered from what was decided before, whatever is found now.
    const decided = await store.decideProposal(settings.linkId, stamp, proposal, verdict)
    return answerOf(decided, (value) => {
      if (value.kind === 'refused') return { result: 'refused', reason: value.reason }
      if (value.effect) this.#effects.apply(value.effect)
      return { result: 'verdict', verdict: value.verdict }
    })
  }

  async #compare(stamp: Stamp, { batch, pieces, tag }: ProposalMessage): Promise<BatchVerdict> {
    const { store, settings } = this.#parts
    const materials = await store.readPieces(settings.linkId, pieces)
    try {
      const missing = pieces.filter((_, i) => !materials[i]).map(({ ref }) => ref)
      if (missing.length > 0) return { outcome: 'lacking', missing }
      const present = materials.filter((material) => material !== null)
      const name = { linkId: settings.linkId, epoch: stamp.epoch, batch, pieces }
      return { outcome: sameTag(proofTag(name, present), tag) ? 'equal' : 'unequal' }
    } finally {
      wipe(...materials)
    }
  }
}
