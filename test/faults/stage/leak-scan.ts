import type { Fingerprinter } from '../fingerprint.ts'
import { WINDOW_BYTES } from '../fingerprint.ts'
import type { Leak } from '../record.ts'

const PIECE_BYTES = 1_048_576
/** Text shorter than 8 bytes of key cannot be recognised. */
const BASE64_RUN = /[A-Za-z0-9+/_-]{11,}/g
const HEX_RUN = /[0-9a-fA-F]{16,}/g

/** Finds keys in files and texts by their windows: 15 bytes in a row of any key, or a whole shorter one. */
export class LeakScan {
  readonly #fingerprinter: Fingerprinter
  readonly #known: WindowSet

  constructor(fingerprinter: Fingerprinter, keys: Iterable<BigUint64Array>) {
    this.#fingerprinter = fingerprinter
    // Every eighth window of a key: any 15 bytes of it hold one of them whole.
    const kept = [...keys].map((windows) =>
      windows.filter((_window, at) => at % WINDOW_BYTES === 0),
    )
    this.#known = new WindowSet(kept)
  }

  /** The forms in which bytes of keys are in it. */
  find(where: string, bytes: Buffer): readonly Leak[] {
    const text = bytes.toString('latin1')
    const forms: readonly (readonly [form: string, isThere: boolean])[] = [
      ['bytes', this.#has(bytes)],
      ['base64', this.#hasText(text, BASE64_RUN, 4, 'base64')],
      ['hex', this.#hasText(text, HEX_RUN, 2, 'hex')],
    ]
    return forms.filter(([, isThere]) => isThere).map(([form]) => ({ where, form }))
  }

  /** A key may begin anywhere in a run, so the run is decoded from each of its first characters. */
  #hasText(text: string, run: RegExp, phases: number, encoding: 'base64' | 'hex'): boolean {
    for (const [found] of text.matchAll(run)) {
      for (let phase = 0; phase < phases; phase += 1) {
        if (this.#has(Buffer.from(found.slice(phase), encoding))) return true
      }
    }
    return false
  }

  #has(bytes: Buffer): boolean {
    for (let start = 0; start < bytes.length; start += PIECE_BYTES) {
      const piece = bytes.subarray(start, start + PIECE_BYTES + WINDOW_BYTES - 1)
      if (this.#known.hasAny(this.#fingerprinter.windows(piece))) return true
    }
    return false
  }
}

/** A hash set of windows, whose bits are mixed already: each as two halves, both 0 where there is none. */
class WindowSet {
  readonly #halves: Uint32Array
  readonly #mask: number

  constructor(lists: readonly BigUint64Array[]) {
    const count = lists.reduce((sum, { length }) => sum + length, 0)
    const size = 2 ** Math.ceil(Math.log2(4 * count + 2))
    this.#halves = new Uint32Array(2 * size)
    this.#mask = size - 1
    for (const list of lists) {
      const halves = halvesOf(list)
      for (let at = 0; at < halves.length; at += 2) this.#add(halves[at] ?? 0, halves[at + 1] ?? 0)
    }
  }

  hasAny(windows: BigUint64Array): boolean {
    const halves = halvesOf(windows)
    for (let at = 0; at < halves.length; at += 2) {
      const low = halves[at] ?? 0
      const high = halves[at + 1] ?? 0
      if (this.#isAt(this.#slotOf(low, high), low, high)) return true
    }
    return false
  }

  /** Where it is, or would be. */
  #slotOf(low: number, high: number): number {
    let slot = low & this.#mask
    while (!this.#isAt(slot, low, high) && !this.#isAt(slot, 0, 0)) slot = (slot + 1) & this.#mask
    return slot
  }

  #isAt(slot: number, low: number, high: number): boolean {
    return this.#halves[2 * slot] === low && this.#halves[2 * slot + 1] === high
  }

  #add(low: number, high: number): void {
    const slot = this.#slotOf(low, high)
    this.#halves[2 * slot] = low
    this.#halves[2 * slot + 1] = high
  }
}

const halvesOf = (windows: BigUint64Array): Uint32Array =>
  new Uint32Array(windows.buffer, windows.byteOffset, 2 * windows.length)
