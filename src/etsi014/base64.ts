/**
 * Base64 from Buffer to Buffer. The runtime's own conversion makes a string of what it encodes, and
 * a string cannot be wiped.
 */
const ALPHABET = Buffer.from(
  'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
  'latin1',
)
const PADDING = 0x3d
const NO_SEXTET = 0xff

const SEXTETS = Buffer.alloc(256, NO_SEXTET)
ALPHABET.forEach((character, sextet) => {
  SEXTETS[character] = sextet
})

/** Characters of the padded base64 text of so many bytes. */
export const base64Length = (lengthBytes: number): number => Math.ceil(lengthBytes / 3) * 4

const characterOf = (sextet: number): number => ALPHABET[sextet] ?? PADDING

/** Writes the padded text of `bytes` into `target` from `at` on; returns the index after it. */
export const writeBase64 = (bytes: Buffer, target: Buffer, at: number): number => {
  const whole = bytes.length - (bytes.length % 3)
  let to = at
  for (let from = 0; from < whole; from += 3, to += 4) {
    const bits = bytes.readUIntBE(from, 3)
    target[to] = characterOf(bits >> 18)
    target[to + 1] = characterOf((bits >> 12) & 63)
    target[to + 2] = characterOf((bits >> 6) & 63)
    target[to + 3] = characterOf(bits & 63)
  }
  const rest = bytes.length - whole
  if (rest === 0) return to
  const bits = rest === 2 ? bytes.readUInt16BE(whole) << 8 : bytes.readUInt8(whole) << 16
  target[to] = characterOf(bits >> 18)
  target[to + 1] = characterOf((bits >> 12) & 63)
  target[to + 2] = rest === 2 ? characterOf((bits >> 6) & 63) : PADDING
  target[to + 3] = PADDING
  return to + 4
}

const paddingOf = (text: Buffer): number => {
  if (text[text.length - 1] !== PADDING) return 0
  return text[text.length - 2] === PADDING ? 2 : 1
}

/** What padded base64 text stands for, or null where it is not the one way to write it. The caller wipes it. */
export const decodeBase64 = (text: Buffer): Buffer | null => {
  if (text.length === 0 || text.length % 4 !== 0) return null
  const padding = paddingOf(text)
  const bytes = Buffer.alloc((text.length / 4) * 3 - padding)
  let bits = 0
  let bitCount = 0
  let to = 0
  for (let from = 0; from < text.length - padding; from += 1) {
    const sextet = SEXTETS[text[from] ?? 0] ?? NO_SEXTET
    if (sextet === NO_SEXTET) {
      bytes.fill(0)
      return null
    }
    bits = ((bits << 6) | sextet) & 0xffff
    bitCount += 6
    if (bitCount < 8) continue
    bitCount -= 8
    bytes[to] = (bits >> bitCount) & 0xff
    to += 1
  }
  // Leftover bits that are set would make two texts of one key.
  return (bits & ((1 << bitCount) - 1)) === 0 ? bytes : null
}
