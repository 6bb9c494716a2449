import { createHmac, randomBytes } from 'node:crypto'

export const WINDOW_BYTES = 8

const ROUNDS = 4
/** Looked up once: where tests run, each use of a global is slow. */
const { imul } = Math

/**
 * Turns key bytes into what may be kept of them: both ways need the secret of this run, which
 * nothing writes down.
 */
export class Fingerprinter {
  readonly #secret = randomBytes(32)
  readonly #roundKeys = Array.from({ length: ROUNDS }, () => randomBytes(4).readInt32BE())

  /** Equal for equal bytes; 128 bits of a MAC. */
  of(bytes: Buffer): string {
    return createHmac('sha256', this.#secret).update(bytes).digest('hex').slice(0, 32)
  }

  /**
   * A name for each 8 bytes in a row, at every offset: equal for equal bytes and for no others, for
   * it is a keyed permutation (Feistel rounds).
   */
  windows(bytes: Buffer): BigUint64Array {
    const count = Math.max(0, bytes.length - WINDOW_BYTES + 1)
    const halves = new Uint32Array(2 * count)
    const [k0 = 0, k1 = 0, k2 = 0, k3 = 0] = this.#roundKeys
    let low = count > 0 ? bytes.readUInt32LE(0) : 0
    let high = count > 0 ? bytes.readUInt32LE(4) : 0
    // Millions of these are made, so the rounds are written out and the window slides.
    for (let at = 0; at < count; at += 1) {
      const one = low ^ mix(high ^ k0)
      const two = high ^ mix(one ^ k1)
      const three = one ^ mix(two ^ k2)
      halves[2 * at] = three
      halves[2 * at + 1] = two ^ mix(three ^ k3)
      low = (low >>> 8) | (high << 24)
      high = (high >>> 8) | ((bytes[at + WINDOW_BYTES] ?? 0) << 24)
    }
    return new BigUint64Array(halves.buffer)
  }
}

/** Spreads each bit over the word. */
const mix = (word: number): number => {
  let mixed = imul(word ^ (word >>> 16), 0x7feb352d)
  mixed = imul(mixed ^ (mixed >>> 15), 0x846ca68b)
  return mixed ^ (mixed >>> 16)
}
