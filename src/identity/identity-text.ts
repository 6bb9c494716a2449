import { MAX_SAE_ID_CHARACTERS, characterCount } from '../model/ids.ts'

/**
 * Why a text from a certificate is no identity, or null. Nothing is trimmed, folded or normalised:
 * a text either is an identity as it stands, or is none.
 */
export const identityTextProblem = (text: string): string | null => {
  if (text === '') return 'is empty'
  if (text.includes('\0')) return 'holds a NUL'
  if (/\p{Cc}/u.test(text)) return 'holds a control character'
  // What is no character has no one spelling in UTF-8, in which identities are stored and compared.
  if (/[\p{Surrogate}\uFFFD]/u.test(text)) return 'is not well-formed text'
  if (text.trim() !== text) return 'has leading or trailing blanks'
  return characterCount(text) > MAX_SAE_ID_CHARACTERS
    ? `is longer than ${String(MAX_SAE_ID_CHARACTERS)} characters`
    : null
}
