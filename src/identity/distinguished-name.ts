import type { JsonName } from '@peculiar/x509'

/** Names that OpenSSL uses where the reader has others or none; an unlisted type stays a dotted number. */
const TYPE_NAMES: ReadonlyMap<string, string> = new Map([
  ['E', 'emailAddress'],
  ['G', 'GN'],
  ['I', 'initials'],
  ['T', 'title'],
  ['2.5.4.5', 'serialNumber'],
  ['2.5.4.9', 'street'],
  ['0.9.2342.19200300.100.1.1', 'UID'],
])

/** How the reader shows a value that is no string; a string of that form cannot be told from one. */
const NOT_TEXT = /^#(?:[0-9a-f]{2})+$/i

const escapeValue = (value: string): string =>
  value
    .replaceAll(/[,+"\\<>;]/g, '\\$&')
    .replace(/^[ #]/, '\\$&')
    .replace(/ $/, '\\ ')
    .replaceAll(/\p{Cc}/gu, (control) => `\\${Buffer.from(control).toString('hex').toUpperCase()}`)

const writeRdn = (rdn: Readonly<Record<string, readonly string[]>>): string | null => {
  const parts: string[] = []
  for (const [type, values] of Object.entries(rdn)) {
    for (const value of values) {
      if (NOT_TEXT.test(value)) return null
      parts.push(`${TYPE_NAMES.get(type) ?? type}=${escapeValue(value)}`)
    }
  }
  // DER orders a multi-valued RDN by its bytes; as text it is a set without an order.
  return parts.sort().join('+')
}

/**
 * A name as RFC 4514 writes it: last RDN first, comma without blank, characters escaped with a
 * backslash, non-ASCII as it is: `CN=sae-1,O=Example\, Inc.,C=AT`. The members of a multi-valued
 * RDN are sorted. Null where a value is no text.
 */
export const writeDistinguishedName = (name: JsonName): string | null => {
  const rdns = name.map(writeRdn)
  return rdns.every((rdn) => rdn !== null) ? rdns.reverse().join(',') : null
}
