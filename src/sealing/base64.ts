/**
 * Base64 between Buffers. The runtime's own conversion passes through a string, which cannot be
 * wiped; a key-encryption key must not.
 */
const ALPHABET = Buffer.from(
  'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
  'latin1',
)
const PADDING = 0x3d

/** Base64 text, as bytes, of `bytes`, padded to a multiple of four. */
export const encodeBase64 = (bytes: Buffer): Buffer => {
  const text = Buffer.alloc(Math.ceil(bytes.length / 3) * 4, PADDING)
  for (let from = 0, to = 0; from < bytes.length; from += 3, to += 4) {
    const group = [0, 1, 2].map((i) => bytes[from + i] ?? 0)
    const [a = 0, b = 0, c = 0] = group
    const sextets = [a >> 2, ((a & 3) << 4) | (b >> 4), ((b & 15) << 2) | (c >> 6), c & 63]
    const used = Math.min(bytes.length - from, 3) + 1
    for (let i = 0; i < used; i += 1) text[to + i] = ALPHABET[sextets[i] ?? 0] ?? 0
  }
  return text
}

/** What the text stands for, or null where it is not the one way to write it. The caller wipes it. */
export const decodeBase64 = (text: Buffer): Buffer | null => {
  const padding = [1, 2].filter((i) => text[text.length - i] === PADDING).length
  if (text.length === 0 || text.length % 4 !== 0) return null
  const bytes = Buffer.alloc((text.length / 4) * 3 - padding)
  let bits = 0
  let bitCount = 0
  let to = 0
  for (const character of text.subarray(0, text.length - padding)) {
    const sextet = ALPHABET.indexOf(character)
    if (sextet < 0) return null
    bits = ((bits << 6) | sextet) & 0xfff
    bitCount += 6
    if (bitCount >= 8) {
      bitCount -= 8
      bytes[to] = (bits >> bitCount) & 0xff
      to += 1
    }
  }
  // Leftover bits that are set would make two texts of one key.
  return (bits & ((1 << bitCount) - 1)) === 0 ? bytes : null
}
