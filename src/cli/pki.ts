import { Command, InvalidArgumentError, Option } from 'commander'
import { DEFAULT_ALGORITHM, KEY_ALGORITHMS, type KeyAlgorithm } from '../pki/algorithms.ts'
import { type WrittenCrl, writeCrl } from '../pki/crl.ts'
import { initAuthorities } from '../pki/init.ts'
import { type IssueOptions, type IssuedFiles, issueCertificate } from '../pki/issue.ts'
import { revokeCertificate } from '../pki/revoke.ts'
import { ROLES, type Role } from '../pki/roles.ts'
import { inspectCommand } from './pki-inspect.ts'
import type { CliIo } from './terminal.ts'

const LONGEST_DAYS = 3650

const parseDays = (text: string): number => {
  const days = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (days >= 1 && days <= LONGEST_DAYS) return days
  throw new InvalidArgumentError(`Expected whole days from 1 to ${String(LONGEST_DAYS)}.`)
}

const collect = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  ...value.split(',').map((part) => part.trim()),
]

const dirOption = (): Option =>
  new Option('--dir <folder>', 'the folder with the CAs').default('pki')
const jsonOption = (): Option => new Option('--json', 'print the result as JSON')
const algorithmOption = (): Option =>
  new Option('--algorithm <name>', 'key algorithm')
    .choices(KEY_ALGORITHMS)
    .default(DEFAULT_ALGORITHM)
const daysOption = (meaning: string): Option =>
  new Option('--days <number>', meaning).argParser(parseDays)
const roleOption = (meaning: string): Option => new Option('--role <role>', meaning).choices(ROLES)

interface Common {
  readonly dir: string
  readonly json?: true
}

const json = (value: unknown): string => JSON.stringify(value, null, 2)

const showCrl = (crl: WrittenCrl): string =>
  `${crl.file}: ${String(crl.revoked)} revoked, next list due ${crl.nextUpdate.toISOString()}`

interface InitArguments extends Common {
  readonly algorithm: KeyAlgorithm
  readonly days?: number
}

const init = async (io: CliIo, { dir, algorithm, days, ...options }: InitArguments) => {
  const made = await initAuthorities(dir, {
    algorithm,
    ...(days === undefined ? {} : { crlDays: days }),
  })
  if (options.json === true) {
    io.out(json({ dir, authorities: made }))
    return
  }
  io.out(`Made three CAs in ${dir}, each with an empty revocation list:`)
  for (const { role, certFile } of made) io.out(`  ${role.padEnd(8)} ${certFile}`)
  io.out('Keep this folder off the KMEs: they need only the ca.crt and crl.pem files.')
}

const initCommand = (io: CliIo): Command =>
  new Command('init')
    .description('make the three CAs of an installation: for SAEs, KMEs and operators')
    .addOption(dirOption())
    .addOption(algorithmOption())
    .addOption(daysOption('days until the first revocation lists are due (default: 30)'))
    .addOption(jsonOption())
    .action((options: InitArguments) => init(io, options))
    .addHelpText(
      'after',
      `
Examples:
  keyspring pki init
  keyspring pki init --dir /media/offline/pki --algorithm p384

A CA that is there already is never overwritten.`,
    )

interface IssueArguments extends Common {
  readonly out?: string
  readonly san?: readonly string[]
  readonly days?: number
  readonly algorithm: KeyAlgorithm
  readonly p12?: true
  readonly p12PasswordFile?: string
}

/** An option that was not given is left out, so that its default counts. */
const issueOptions = (role: Role, name: string, given: IssueArguments): IssueOptions => {
  const { out, san, days, algorithm, p12, p12PasswordFile } = given
  const secret = p12PasswordFile === undefined ? {} : { passwordFile: p12PasswordFile }
  return {
    role,
    name,
    algorithm,
    ...(out === undefined ? {} : { out }),
    ...(san === undefined ? {} : { san }),
    ...(days === undefined ? {} : { days }),
    ...(p12 === undefined && p12PasswordFile === undefined ? {} : { pkcs12: secret }),
  }
}

const showIssued = (io: CliIo, role: Role, name: string, files: IssuedFiles): void => {
  io.out(`Issued a certificate for the ${role} ${JSON.stringify(name)}, serial ${files.serial}:`)
  io.out(`  certificate  ${files.certFile}`)
  io.out(`  private key  ${files.keyFile}`)
  if (files.pkcs12File !== undefined) io.out(`  PKCS#12      ${files.pkcs12File}`)
  if (files.pkcs12PasswordFile !== undefined) {
    io.out(`  its password ${files.pkcs12PasswordFile}`)
  }
  io.out(`  verify the KME with ${files.caFile}`)
}

const issueFor = (io: CliIo, role: Role, who: string, examples: string): Command =>
  new Command(role)
    .description(who)
    .argument('<name>', 'its identity, 1 to 291 characters')
    .addOption(dirOption())
    .option('--out <folder>', `where the files go (default: issued/${role} in the CA folder)`)
    .addOption(
      new Option(
        '--san <names>',
        'alternative names, comma-separated or repeated: dns:NAME, ip:ADDRESS, uri:URI, email:ADDRESS',
      ).argParser(collect),
    )
    .addOption(daysOption('validity in days (default: 365)'))
    .addOption(algorithmOption())
    .option('--p12', 'also write a PKCS#12 bundle; its password is made up unless given')
    .option('--p12-password-file <file>', 'file with the password of the bundle, mode 0600')
    .addOption(jsonOption())
    .action(async (name: string, given: IssueArguments) => {
      const files = await issueCertificate(given.dir, issueOptions(role, name, given))
      if (given.json === true) io.out(json({ role, name, ...files }))
      else showIssued(io, role, name, files)
    })
    .addHelpText('after', `\nExamples:\n${examples}`)

const issueCommand = (io: CliIo): Command =>
  new Command('issue')
    .description('issue a certificate with a new private key')
    .addCommand(
      issueFor(
        io,
        'kme',
        'for a KME: TLS server and client; serves on all its listeners',
        `  keyspring pki issue kme kme-a --san dns:kme-a.example.org,ip:192.0.2.1
  keyspring pki issue kme kme-a --days 90 --out site-a

Without --san: localhost, the loopback addresses, and its name if that is a host name.`,
      ),
    )
    .addCommand(
      issueFor(
        io,
        'sae',
        'for an SAE: TLS client, its SAE ID as common name and as urn:keyspring:sae:ID',
        `  keyspring pki issue sae sae-1
  keyspring pki issue sae "FGT-A" --algorithm rsa3072 --p12`,
      ),
    )
    .addCommand(
      issueFor(io, 'operator', 'for an operator: TLS client', '  keyspring pki issue operator ann'),
    )
    .addHelpText(
      'after',
      `
Examples:
  keyspring pki issue kme kme-a
  keyspring pki issue sae sae-1`,
    )

interface RevokeArguments extends Common {
  readonly role?: Role
  readonly days?: number
}

const revoke = async (io: CliIo, what: string, given: RevokeArguments): Promise<void> => {
  const { role, certificates, crl } = await revokeCertificate(given.dir, what, given)
  if (given.json === true) {
    io.out(json({ role, certificates, crl }))
    return
  }
  for (const { name, serial } of certificates) {
    io.out(`Revoked the ${role} certificate ${serial} of ${JSON.stringify(name)}`)
  }
  io.out(showCrl(crl))
  io.out('Copy this list to the KMEs: they take it within seconds, without a restart.')
}

const revokeCommand = (io: CliIo): Command =>
  new Command('revoke')
    .description('revoke certificates and write a new revocation list')
    .argument('<what>', 'a name (all its certificates), a serial number or a certificate file')
    .addOption(dirOption())
    .addOption(roleOption('which CA, where two issued to the same name'))
    .addOption(daysOption('days until the next list is due (default: 30)'))
    .addOption(jsonOption())
    .action((what: string, given: RevokeArguments) => revoke(io, what, given))
    .addHelpText(
      'after',
      `
Examples:
  keyspring pki revoke sae-1
  keyspring pki revoke 4ac8db6a363e2de2a6e5556e9d0391a3b1f12497
  keyspring pki revoke old/sae-1.crt`,
    )

const crls = async (io: CliIo, given: RevokeArguments): Promise<void> => {
  const roles = given.role === undefined ? ROLES : [given.role]
  const options = given.days === undefined ? {} : { days: given.days }
  const written: WrittenCrl[] = []
  for (const role of roles) written.push(await writeCrl(given.dir, role, options))
  if (given.json === true) io.out(json(written))
  else for (const crl of written) io.out(showCrl(crl))
}

const crlCommand = (io: CliIo): Command =>
  new Command('crl')
    .description('write fresh revocation lists')
    .addOption(dirOption())
    .addOption(roleOption('only that of this CA'))
    .addOption(daysOption('days until the next list is due (default: 30)'))
    .addOption(jsonOption())
    .action((given: RevokeArguments) => crls(io, given))
    .addHelpText(
      'after',
      `
Examples:
  keyspring pki crl
  keyspring pki crl --role sae --days 7

A KME refuses every certificate of a CA whose list is out of date: write a fresh one before that.`,
    )

/** `keyspring pki ...`: an offline tool; throws KmeError PKI_INVALID or USAGE. */
export const pkiCommand = (io: CliIo): Command =>
  new Command('pki')
    .description('make CAs and certificates, revoke them, and see what a KME makes of one')
    .addCommand(initCommand(io))
    .addCommand(issueCommand(io))
    .addCommand(revokeCommand(io))
    .addCommand(crlCommand(io))
    .addCommand(inspectCommand(io))
    .addHelpText(
      'after',
      `
Examples:
  keyspring pki init
  keyspring pki issue kme kme-a
  keyspring pki issue sae sae-1
  keyspring pki inspect pki/issued/sae/sae-1.crt -c config/site-a.yaml`,
    )
