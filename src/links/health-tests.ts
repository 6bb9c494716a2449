import { createCipheriv, type Cipheriv } from 'node:crypto'
import type { Random } from '../ports/clock.ts'

/**
 * Tests of key material on intake, so that a broken device is found before its key is used. They
 * find gross faults, not weak key: secrecy comes from the device.
 *
 * The cut-offs let perfect random pass for years. At 10 Mb/s a decade is 4e14 bytes = 2^48.5:
 *  - repetition, 9 equal bytes in a row: 2^-64 per byte, 2^-15 in the decade;
 *  - adaptive proportion, a byte that comes 25 times in the 511 after it: binomial(511, 1/256) has
 *    a tail of 1.8e-19 < 2^-60 per window, 1.4e-7 in the decade;
 *  - monobit and chi-square, |z| >= 8 per window of 4 KiB: 1.2e-15, 1.2e-4 each in the decade;
 *  - a 32-byte record that comes again: 2^-96 per pair that is compared, 2^-35 in the decade.
 */
const REPETITION_CUTOFF = 9
const PROPORTION_WINDOW_BYTES = 512
const PROPORTION_CUTOFF = 25
const Z_CUTOFF = 8
/** Gross faults show within this; slight ones in the long window, where they are 16 times as clear. */
const WINDOW_BYTES = 4096
const LONG_WINDOW_BYTES = 256 * WINDOW_BYTES

const RECORD_BYTES = 32
const HALF_BYTES = 16
/** Records remembered for finding repeated ones: 4 MiB of key in 2 MiB of memory. */
const REMEMBERED_RECORDS = 1 << 17
const FINGERPRINT_WORDS = 3
const RECORD_WORDS = 8
/** Streams and blocks remembered; the ones not met for longest are forgotten first. */
const MAX_STREAMS = 64
const MAX_BLOCKS = 1024

const BYTE_VALUES = 256

const ONES = Uint8Array.from({ length: BYTE_VALUES }, (_, value) => {
  let ones = 0
  for (let rest = value; rest > 0; rest >>= 1) ones += rest & 1
  return ones
})

/** How often each byte value came. One bits follow from it, so no bit is ever looked at. */
class Histogram {
  readonly counts = new Uint32Array(BYTE_VALUES)
  total = 0

  add(other: Histogram): void {
    for (let value = 0; value < BYTE_VALUES; value += 1) {
      this.counts[value] = (this.counts[value] ?? 0) + (other.counts[value] ?? 0)
    }
    this.total += other.total
  }

  count(bytes: Uint8Array): void {
    const { counts } = this
    for (let at = 0; at < bytes.length; at += 1) {
      const byte = bytes[at] ?? 0
      counts[byte] = (counts[byte] ?? 0) + 1
    }
    this.total += bytes.length
  }

  clear(): void {
    this.counts.fill(0)
    this.total = 0
  }

  finding(): string | null {
    return this.#monobit() ?? this.#chiSquare()
  }

  #monobit(): string | null {
    let ones = 0
    for (let value = 0; value < BYTE_VALUES; value += 1) {
      ones += (this.counts[value] ?? 0) * (ONES[value] ?? 0)
    }
    const bits = this.total * 8
    const z = (2 * ones - bits) / Math.sqrt(bits)
    return Math.abs(z) < Z_CUTOFF
      ? null
      : `monobit: ${((100 * ones) / bits).toFixed(2)} % ones in ${this.total} bytes (z = ${z.toFixed(1)})`
  }

  /**
   * The z is Wilson and Hilferty's. The plain (x - 255) / sqrt(510) is skewed: 8 of it come once in
   * 7e10 windows, which is every other year at 10 Mb/s.
   */
  #chiSquare(): string | null {
    const expected = this.total / BYTE_VALUES
    let sum = 0
    for (const count of this.counts) sum += (count - expected) ** 2
    const freedom = BYTE_VALUES - 1
    const spread = 2 / (9 * freedom)
    const z = (Math.cbrt(sum / expected / freedom) - (1 - spread)) / Math.sqrt(spread)
    return Math.abs(z) < Z_CUTOFF
      ? null
      : `byte values: chi-square ${(sum / expected).toFixed(0)} in ${this.total} bytes (z = ${z.toFixed(1)})`
  }
}

interface Stream {
  readonly window: Histogram
  readonly longWindow: Histogram
  /** Findings by block, so that a block that is offered again counts once. */
  readonly blocks: Map<string, string | null>
}

/**
 * Remembers 32-byte records by a fingerprint: CBC-MAC (AES-256, key in memory only), a
 * pseudo-random function for inputs of one length, many times faster than an HMAC per record. Each
 * slot holds the last record that fell into it.
 */
class SeenRecords {
  readonly #cipher: Cipheriv
  readonly #slots = new Uint32Array(REMEMBERED_RECORDS * FINGERPRINT_WORDS)

  constructor(random: Random) {
    const key = random.bytes(32)
    this.#cipher = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false)
    key.fill(0)
  }

  /** Whether some whole record of the block was met before, in it or in an earlier one. */
  meet(material: Buffer): boolean {
    const records = Math.floor(material.length / RECORD_BYTES)
    if (records === 0) return false
    const macs = this.#macs(material, records)
    let known = false
    for (let record = 0; record < records; record += 1) {
      if (this.#meetOne(macs, record * 4)) known = true
    }
    return known
  }

  #macs(material: Buffer, records: number): Uint32Array {
    const firsts = this.#cipher.update(material.subarray(0, records * RECORD_BYTES))
    const halves = new Uint32Array((records * HALF_BYTES) / 4)
    const words = wordsOf(material, records)
    const encrypted = wordsOf(firsts, records)
    for (let record = 0; record < records; record += 1) {
      const from = record * RECORD_WORDS
      for (let word = 0; word < 4; word += 1) {
        halves[record * 4 + word] = (encrypted[from + word] ?? 0) ^ (words[from + 4 + word] ?? 0)
      }
    }
    if (words.buffer !== material.buffer) words.fill(0)
    return wordsOf(this.#cipher.update(Buffer.from(halves.buffer)), records / 2)
  }

  #meetOne(macs: Uint32Array, at: number): boolean {
    const slots = this.#slots
    const slot = ((macs[at] ?? 0) & (REMEMBERED_RECORDS - 1)) * FINGERPRINT_WORDS
    const [a, b, c] = [macs[at + 1] ?? 0, macs[at + 2] ?? 0, macs[at + 3] ?? 0]
    const known = slots[slot] === a && slots[slot + 1] === b && slots[slot + 2] === c
    slots[slot] = a
    slots[slot + 1] = b
    slots[slot + 2] = c
    return known
  }
}

/** The records as 32-bit words; a copy only where the bytes do not lie on a word. */
const wordsOf = (bytes: Buffer, records: number): Uint32Array => {
  const length = records * RECORD_WORDS
  if (bytes.byteOffset % 4 === 0) return new Uint32Array(bytes.buffer, bytes.byteOffset, length)
  const copy = Buffer.allocUnsafeSlow(length * 4)
  bytes.copy(copy, 0, 0, length * 4)
  return new Uint32Array(copy.buffer, 0, length)
}

const repetition = (bytes: Uint8Array): string | null => {
  let last = -1
  let run = 0
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0
    if (byte !== last) {
      last = byte
      run = 1
      continue
    }
    run += 1
    if (run === REPETITION_CUTOFF) return `repetition: ${run} equal bytes in a row`
  }
  return null
}

const proportion = (bytes: Uint8Array): string | null => {
  for (let from = 0; from < bytes.length; from += PROPORTION_WINDOW_BYTES) {
    const end = Math.min(bytes.length, from + PROPORTION_WINDOW_BYTES)
    const sample = bytes[from]
    let count = 0
    for (let at = from + 1; at < end; at += 1) if (bytes[at] === sample) count += 1
    if (count >= PROPORTION_CUTOFF) {
      return `proportion: one byte value ${count + 1} times in ${end - from} bytes`
    }
  }
  return null
}

/** Keeps a map small: what was put in first goes first. */
const trim = (map: Map<string, unknown>, size: number): void => {
  for (const key of map.keys()) {
    if (map.size <= size) return
    map.delete(key)
  }
}

export interface HealthTestOptions {
  /** For the key of the fingerprints. */
  readonly random: Random
}

/** Health tests of all streams of one KME; the memory they take is bounded. */
export class HealthTests {
  readonly #seen: SeenRecords
  readonly #streams = new Map<string, Stream>()

  constructor(options: HealthTestOptions) {
    this.#seen = new SeenRecords(options.random)
  }

  /**
   * One line on what is wrong, without a byte of the key, or null. The material is left as it is.
   * `blockKey` names the block, unlike any other of the stream: a block that could not be stored and
   * is offered again gets the answer of before, and is no repetition of itself. Blocks that the
   * store knows already are not for these tests: they would count as repeated key.
   */
  test(streamKey: string, material: Buffer, blockKey?: string): string | null {
    if (material.length === 0) return 'length: the block is empty'
    const stream = this.#stream(streamKey)
    const before = blockKey === undefined ? undefined : stream.blocks.get(blockKey)
    if (before !== undefined) return before
    // All of them, also after a finding: what a stream repeats must be remembered in any case.
    const findings = [
      repetition(material),
      proportion(material),
      this.#windows(stream, material),
      this.#seen.meet(material) ? `repeated key: ${RECORD_BYTES} bytes that came before` : null,
    ]
    const finding = findings.find((one) => one !== null) ?? null
    if (blockKey !== undefined) {
      stream.blocks.set(blockKey, finding)
      trim(stream.blocks, MAX_BLOCKS)
    }
    return finding
  }

  #stream(streamKey: string): Stream {
    const known = this.#streams.get(streamKey)
    const stream = known ?? {
      window: new Histogram(),
      longWindow: new Histogram(),
      blocks: new Map<string, string | null>(),
    }
    if (known !== undefined) this.#streams.delete(streamKey)
    this.#streams.set(streamKey, stream)
    trim(this.#streams, MAX_STREAMS)
    return stream
  }

  /**
   * A block that fills windows is judged by its own, so that it is blamed for nothing else and both
   * ends come to the same answer; smaller ones share the windows of the stream.
   */
  #windows(stream: Stream, material: Buffer): string | null {
    if (material.length < WINDOW_BYTES) {
      stream.window.count(material)
      return stream.window.total < WINDOW_BYTES ? null : this.#close(stream, stream.window)
    }
    let finding: string | null = null
    let from = 0
    while (from < material.length) {
      const isLast = material.length - from < 2 * WINDOW_BYTES
      const end = isLast ? material.length : from + WINDOW_BYTES
      const window = new Histogram()
      window.count(material.subarray(from, end))
      finding ??= window.finding()
      stream.longWindow.add(window)
      from = end
    }
    return finding ?? this.#closeLong(stream)
  }

  #close(stream: Stream, window: Histogram): string | null {
    const finding = window.finding()
    stream.longWindow.add(window)
    window.clear()
    return finding ?? this.#closeLong(stream)
  }

  #closeLong(stream: Stream): string | null {
    if (stream.longWindow.total < LONG_WINDOW_BYTES) return null
    const finding = stream.longWindow.finding()
    stream.longWindow.clear()
    return finding
  }
}
