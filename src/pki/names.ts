import { createHash } from 'node:crypto'
import { isIP } from 'node:net'
import type * as x509 from '@peculiar/x509'
import { KmeError } from '../errors.ts'
import { identityTextProblem } from '../identity/identity-text.ts'
import type { Role } from './roles.ts'

const LONGEST_PLAIN = 100
const KEPT_OF_LONG = 80

const hexEscape = (text: string): string =>
  Array.from(
    Buffer.from(text),
    (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
  ).join('')

/**
 * A file name for any identity, different for different identities: percent-encoded, and where that
 * gets long, cut and closed with a hash.
 */
export const safeFileName = (name: string): string => {
  const encoded = encodeURIComponent(name)
    .replaceAll(/[!'()*~]/g, hexEscape)
    .replace(/^\./, '%2E')
  if (encoded.length <= LONGEST_PLAIN) return encoded
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 32)
  return `${encoded.slice(0, KEPT_OF_LONG)}~${hash}`
}

/** @throws KmeError USAGE where no identity rule would ever accept the name */
export const checkName = (name: string): void => {
  const problem = identityTextProblem(name)
  if (problem !== null) {
    throw new KmeError('USAGE', `the name ${JSON.stringify(name)} is no identity: it ${problem}`)
  }
}

/** The URI that stands in the certificate of `name`, percent-encoded. */
export const identityUrn = (role: Role, name: string): string =>
  `urn:keyspring:${role}:${encodeURIComponent(name)}`

const DNS_NAME =
  /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i

const isDnsName = (text: string): boolean =>
  // The last label of a host name is never a number: that would be an IPv4 address.
  DNS_NAME.test(text.replace(/^\*\./, '')) && !/(^|\.)\d+$/.test(text)

const isUri = (text: string): boolean => /^[\x21-\x7e]+$/.test(text) && URL.canParse(text)

const KINDS: Readonly<
  Record<string, { readonly type: x509.GeneralNameType; readonly check: (text: string) => boolean }>
> = {
  dns: { type: 'dns', check: isDnsName },
  ip: { type: 'ip', check: (text) => isIP(text) !== 0 && !text.includes('%') },
  uri: { type: 'url', check: isUri },
  email: { type: 'email', check: (text) => /^[\x21-\x3f\x41-\x7e]+@[a-z0-9.-]+$/i.test(text) },
}

/**
 * Reads `dns:NAME`, `ip:ADDRESS`, `uri:URI` or `email:ADDRESS`.
 * @throws KmeError USAGE
 */
export const parseAltName = (text: string): x509.JsonGeneralName => {
  const colon = text.indexOf(':')
  const kind = KINDS[text.slice(0, Math.max(colon, 0)).toLowerCase()]
  const value = text.slice(colon + 1)
  if (kind?.check(value) !== true) {
    throw new KmeError(
      'USAGE',
      `${JSON.stringify(text)} is no alternative name: write dns:NAME, ip:ADDRESS, uri:URI or email:ADDRESS`,
    )
  }
  return { type: kind.type, value }
}

const LOOPBACK = ['dns:localhost', 'ip:127.0.0.1', 'ip:::1']

/** Where a KME is reached, unless the caller says so: on this machine, and under its name if that is a host name. */
export const defaultHosts = (name: string): readonly string[] =>
  isDnsName(name) && name.toLowerCase() !== 'localhost' ? [`dns:${name}`, ...LOOPBACK] : LOOPBACK
