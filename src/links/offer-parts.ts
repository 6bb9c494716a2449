import type { KeyBlock, OfferOutcome } from '../ports/qkd-driver.ts'

/** What is tested and stored in one go: a few milliseconds in which nobody else has a turn. */
const MOST_PART_BYTES = 256 * 1024

type StorePart = (
  blocks: readonly KeyBlock[],
  checkpoint: Buffer | null,
) => Promise<readonly OfferOutcome[]>

/**
 * Stores an offer of a device in parts, the checkpoint with the last: should an earlier one be all
 * that is stored, its blocks come again and are known.
 * @throws what `store` throws
 */
export const storeInParts = async (
  blocks: readonly KeyBlock[],
  checkpoint: Buffer | null,
  store: StorePart,
): Promise<readonly OfferOutcome[]> => {
  const outcomes: OfferOutcome[] = []
  let part: KeyBlock[] = []
  let lengthBytes = 0
  for (const block of blocks) {
    if (part.length > 0 && lengthBytes + block.material.length > MOST_PART_BYTES) {
      outcomes.push(...(await store(part, null)))
      part = []
      lengthBytes = 0
    }
    part.push(block)
    lengthBytes += block.material.length
  }
  outcomes.push(...(await store(part, checkpoint)))
  return outcomes
}
