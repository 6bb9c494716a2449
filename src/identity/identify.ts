import { CLIENT_AUTH, type CertificateFacts } from './certificate-facts.ts'
import { identityTextProblem } from './identity-text.ts'
import { type Refusal, refusal } from './refusal.ts'
import { ID_PLACE, type IdentityRule, type IdentitySource } from './rule.ts'

export interface Named {
  readonly id: string
  /** Which rule gave it, in words. */
  readonly why: string
}

/**
 * Reads an identity from a certificate that `ca` issued. It neither checks validity nor whether
 * anybody with that identity is registered.
 */
export type Identify = (facts: CertificateFacts, ca: string) => Named | Refusal

type Reading = { readonly id: string } | { readonly problem: string }

const VALUES: Record<
  Exclude<IdentitySource, 'spki'>,
  { readonly name: string; readonly of: (facts: CertificateFacts) => readonly string[] }
> = {
  cn: { name: 'common name', of: (facts) => facts.commonNames },
  dn: {
    name: 'subject',
    of: ({ distinguishedName }) => (distinguishedName === null ? [] : [distinguishedName]),
  },
  'san-uri': { name: 'URI alternative name', of: (facts) => facts.altNames.uri },
  'san-dns': { name: 'DNS alternative name', of: (facts) => facts.altNames.dns },
  'san-email': { name: 'e-mail alternative name', of: (facts) => facts.altNames.email },
  serial: { name: 'serial number', of: (facts) => [facts.serial] },
}

const placeIn = (value: string, pattern: string): string | null => {
  const [before = '', after = ''] = pattern.split(ID_PLACE)
  const fits =
    value.length >= before.length + after.length &&
    value.startsWith(before) &&
    value.endsWith(after)
  return fits ? value.slice(before.length, value.length - after.length) : null
}

const percentDecode = (text: string): string | null => {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}

/** The part of the value that is the identity; null where the value does not fit the pattern. */
const extract = (value: string, rule: IdentityRule): string | null => {
  if (rule.pattern === undefined) return value
  const place = placeIn(value, rule.pattern)
  return place === null || rule.from !== 'san-uri' ? place : percentDecode(place)
}

const readValue = (facts: CertificateFacts, rule: IdentityRule): Reading => {
  if (rule.from === 'spki') return readPin(facts, rule)
  const { name, of } = VALUES[rule.from]
  const values = of(facts)
  if (rule.from === 'cn' && values.length > 1) return { problem: 'it has two common names' }
  const found = values.map((value) => extract(value, rule)).filter((id) => id !== null)
  const [id, second] = found
  if (id === undefined) {
    const fitting = rule.pattern === undefined ? '' : ` like ${rule.pattern}`
    return { problem: `it has no ${name}${fitting}` }
  }
  if (second !== undefined) return { problem: `it has two of ${name}` }
  const problem = identityTextProblem(id)
  return problem === null ? { id } : { problem: `its ${name} ${problem}` }
}

const readPin = (facts: CertificateFacts, rule: IdentityRule): Reading => {
  const pins = rule.pins ?? {}
  const print = facts.spkiFingerprint
  const id = Object.hasOwn(pins, print) ? pins[print] : undefined
  return id === undefined ? { problem: `its public key (${print}) is not among the pins` } : { id }
}

/** Whether the certificate is for TLS clients; null is yes. */
const clientAuthProblem = (facts: CertificateFacts, rule: IdentityRule): string | null => {
  const usage = facts.extendedKeyUsage
  if (usage === null) {
    return rule.allowMissingEku ? null : 'it has no extended key usage (clientAuth is needed)'
  }
  return usage.includes(CLIENT_AUTH) ? null : 'its extended key usage is not clientAuth'
}

const describeRule = (rule: IdentityRule, index: number): string =>
  `rule ${String(index + 1)} (ca ${rule.ca}, from ${rule.from}${rule.pattern === undefined ? '' : ` ${rule.pattern}`})`

/**
 * Identities by rules, tried in order: the first that yields one wins. A rule that finds its part
 * of the certificate missing, twice, or malformed yields none.
 */
export const byRules =
  (rules: readonly IdentityRule[]): Identify =>
  (facts, ca) => {
    if (facts.isCa) return refusal('ca-certificate', 'it is the certificate of a CA')
    const problems: string[] = []
    let usageAlone = true
    for (const [index, rule] of rules.entries()) {
      if (rule.ca !== ca) continue
      const usage = clientAuthProblem(facts, rule)
      const reading = usage === null ? readValue(facts, rule) : { problem: usage }
      if ('id' in reading) return { id: reading.id, why: describeRule(rule, index) }
      usageAlone &&= usage !== null
      problems.push(`${describeRule(rule, index)}: ${reading.problem}`)
    }
    if (problems.length === 0) return refusal('no-identity', `no rule is for the CA ${ca}`)
    return refusal(usageAlone ? 'no-client-auth' : 'no-identity', problems.join('; '))
  }

/** A peer KME as the configuration has it. */
export interface PeerEntry {
  readonly id: string
  readonly ca: string
  /** Its name in its certificate; default: its ID. */
  readonly certIdentity?: string
}

/**
 * The names by which a KME may be known: its one common name, DNS and URI alternative names.
 * Compared exactly, never as patterns.
 */
const kmeNamesOf = (facts: CertificateFacts): ReadonlySet<string> => {
  const common = facts.commonNames.length === 1 ? facts.commonNames : []
  const all = [...common, ...facts.altNames.dns, ...facts.altNames.uri]
  return new Set(all.filter((name) => identityTextProblem(name) === null))
}

/**
 * Peer KMEs: `id` is the peer's KME ID. A certificate that fits two peers is refused.
 * `usage` is what the certificate must be for, clientAuth unless given: the side that calls checks
 * the server's certificate with the same function.
 */
export const byPeers =
  (peers: readonly PeerEntry[], usage: string = CLIENT_AUTH): Identify =>
  (facts, ca) => {
    if (facts.isCa) return refusal('ca-certificate', 'it is the certificate of a CA')
    if (facts.extendedKeyUsage?.includes(usage) !== true) {
      return refusal('no-client-auth', 'its extended key usage is not for what a peer KME does')
    }
    const names = kmeNamesOf(facts)
    const fitting = peers.filter(
      (peer) => peer.ca === ca && names.has(peer.certIdentity ?? peer.id),
    )
    const [peer, second] = fitting
    if (peer === undefined) {
      const shown = [...names].map((name) => JSON.stringify(name)).join(', ')
      return refusal('no-identity', `no peer of the CA ${ca} has one of its names: ${shown}`)
    }
    return second === undefined
      ? { id: peer.id, why: `peer ${JSON.stringify(peer.certIdentity ?? peer.id)} of the CA ${ca}` }
      : refusal('no-identity', `it fits two peers: ${peer.id} and ${second.id}`)
  }

/** Operators: every certificate of these CAs, named by its common name, else by its serial number. */
export const byOperators = (cas: readonly string[]): Identify =>
  byRules(
    cas.flatMap((ca) => [
      { ca, from: 'cn' as const, allowMissingEku: false },
      { ca, from: 'serial' as const, allowMissingEku: false },
    ]),
  )
