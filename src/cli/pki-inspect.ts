import { X509Certificate } from 'node:crypto'
import { Command } from 'commander'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { KmeError } from '../errors.ts'
import { CertificateFacts } from '../identity/certificate-facts.ts'
import type { CaOptions } from '../identity/ca-bundle.ts'
import { type Identify, byOperators, byPeers, byRules } from '../identity/identify.ts'
import { IdentityResolver } from '../identity/resolver.ts'
import { TrustStore } from '../identity/trust-store.ts'
import { readRegularFile } from '../support/secret-file.ts'
import { systemClock } from '../support/system-clock.ts'
import type { CliIo } from './terminal.ts'

/** What one listener of a KME makes of a certificate. */
interface Verdict {
  readonly listener: 'sae' | 'peer' | 'admin'
  /** Null where it is refused. */
  readonly identity: {
    readonly id: string
    readonly ca: string
    readonly registered: boolean
  } | null
  readonly why: string
}

const readCertificate = async (file: string): Promise<X509Certificate> => {
  const content = await readRegularFile(file)
  try {
    return new X509Certificate(content)
  } catch (error) {
    throw new KmeError('PKI_INVALID', `${file}: holds no certificate, PEM or DER`, { cause: error })
  }
}

const NAMES: Readonly<Record<string, string>> = {
  '1.3.6.1.5.5.7.3.1': 'serverAuth',
  '1.3.6.1.5.5.7.3.2': 'clientAuth',
}

const factsOf = (certificate: X509Certificate) => {
  const facts = new CertificateFacts(certificate)
  return {
    subject: facts.distinguishedName,
    commonNames: facts.commonNames,
    altNames: facts.altNames,
    // One line, as OpenSSL quotes it: also what no rule reads, such as IP addresses.
    altNamesText: certificate.subjectAltName ?? null,
    serial: facts.serial,
    isCa: facts.isCa,
    extendedKeyUsage: facts.extendedKeyUsage?.map((usage) => NAMES[usage] ?? usage) ?? null,
    validFrom: certificate.validFromDate.toISOString(),
    validTo: certificate.validToDate.toISOString(),
    spkiFingerprint: facts.spkiFingerprint,
    certificateFingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
  }
}

interface Listener {
  readonly name: Verdict['listener']
  readonly cas: readonly CaOptions[]
  readonly identify: Identify
  readonly registered: (id: string, ca: string) => boolean
}

const listenersOf = (config: Config): readonly Listener[] => {
  const { sae, peer, admin } = config.listeners
  const saes: Listener = {
    name: 'sae',
    cas: sae.cas,
    identify: byRules(config.identity.rules),
    registered: (id, ca) => config.saes.some((entry) => entry.id === id && entry.ca === ca),
  }
  const operators: Listener = {
    name: 'admin',
    cas: admin.cas,
    identify: byOperators(admin.cas.map(({ name }) => name)),
    registered: () => true,
  }
  if (peer === undefined) return [saes, operators]
  const peers = byPeers(config.peers)
  return [saes, { name: 'peer', cas: peer.cas, identify: peers, registered: () => true }, operators]
}

const silent = { event: () => {}, alarm: () => {}, clear: () => {} }

const judge = async (certificate: X509Certificate, listener: Listener): Promise<Verdict> => {
  const trust = await TrustStore.load({ cas: listener.cas, clock: systemClock, observer: silent })
  const { identify } = listener
  const resolver = new IdentityResolver({ trust, identify, clock: systemClock })
  const resolution = resolver.examine(certificate)
  if ('refusal' in resolution) {
    const { code, reason } = resolution.refusal
    return { listener: listener.name, identity: null, why: `${code}: ${reason}` }
  }
  const { id, ca, why } = resolution.identity
  const registered = listener.registered(id, ca)
  return { listener: listener.name, identity: { id, ca, registered }, why }
}

const KINDS = { sae: 'the SAE', peer: 'the peer KME', admin: 'the operator' } as const

const describe = ({ listener, identity, why }: Verdict): string => {
  if (identity === null) return `${listener} listener: refused (${why})`
  const missing = identity.registered
    ? ''
    : `, which is not in \`saes\` with the CA ${identity.ca}: every request is answered 401`
  return `${listener} listener: ${KINDS[listener]} ${JSON.stringify(identity.id)}, by ${why}${missing}`
}

const show = (io: CliIo, facts: ReturnType<typeof factsOf>): void => {
  const usage = facts.extendedKeyUsage?.join(', ') ?? 'none (any use)'
  const rows: readonly (readonly [string, string])[] = [
    // As JSON: a certificate from outside writes no control characters to the terminal.
    ['subject', facts.subject === null ? 'not readable as text' : JSON.stringify(facts.subject)],
    ['alt. names', facts.altNamesText === null ? 'none' : JSON.stringify(facts.altNamesText)],
    ['key usage', `${usage}${facts.isCa ? ', CA' : ''}`],
    ['valid', `${facts.validFrom} to ${facts.validTo}`],
    ['serial', facts.serial],
    ['public key', `SHA-256 ${facts.spkiFingerprint} (for \`pins\`)`],
    ['certificate', `SHA-256 ${facts.certificateFingerprint}`],
  ]
  for (const [name, value] of rows) io.out(`${name.padEnd(12)} ${value}`)
}

interface InspectArguments {
  readonly config?: string
  readonly json?: true
}

const inspect = async (io: CliIo, file: string, given: InspectArguments): Promise<void> => {
  const certificate = await readCertificate(file)
  const config = given.config === undefined ? null : await loadConfig(given.config)
  const verdicts: Verdict[] = []
  for (const listener of config === null ? [] : listenersOf(config)) {
    verdicts.push(await judge(certificate, listener))
  }
  const facts = factsOf(certificate)
  if (given.json === true) {
    io.out(JSON.stringify({ ...facts, verdicts }, null, 2))
    return
  }
  show(io, facts)
  for (const verdict of verdicts) io.out(describe(verdict))
  if (config === null) io.out('With -c CONFIG: whom a KME takes it for, and why.')
}

export const inspectCommand = (io: CliIo): Command =>
  new Command('inspect')
    .description('show a certificate, and whom a KME would take it for')
    .argument('<file>', 'the certificate, PEM or DER')
    .option('-c, --config <file>', 'the configuration of the KME')
    .option('--json', 'print the result as JSON')
    .action((file: string, given: InspectArguments) => inspect(io, file, given))
    .addHelpText(
      'after',
      `
Examples:
  keyspring pki inspect sae-1.crt
  keyspring pki inspect sae-1.crt -c config/site-a.yaml --json`,
    )
