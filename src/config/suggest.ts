/** Edits (insert, drop, replace a character) that turn one word into the other. */
const distance = (a: string, b: string): number => {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row]
    for (let column = 1; column <= b.length; column += 1) {
      const replaced = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1)
      current.push(Math.min(replaced, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1))
    }
    previous = current
  }
  return previous[b.length] ?? 0
}

const LONGEST_WORD = 64

/** Names that differ only in case, hyphens or underscores are the same to a person. */
const fold = (word: string): string => word.toLowerCase().replaceAll(/[-_]/g, '')

/** The known word that was probably meant, or undefined where none is near. */
export const nearest = (word: string, known: readonly string[]): string | undefined => {
  if (word.length > LONGEST_WORD) return undefined
  const folded = fold(word)
  const allowed = Math.max(1, Math.floor(folded.length / 3))
  const ranked = known
    .map((candidate) => ({ candidate, edits: distance(folded, fold(candidate)) }))
    .filter(({ candidate, edits }) => edits <= allowed || isPartOf(folded, fold(candidate)))
    .sort((a, b) => a.edits - b.edits)
  return ranked[0]?.candidate
}

/** `keySize` for `keySizeBits`: a unit left out. */
const isPartOf = (word: string, candidate: string): boolean =>
  word.length >= 4 && candidate.startsWith(word)
