import { Command } from 'commander'
import { AdminClient, type AdminClientOptions } from '../admin/client.ts'
import { parseConfig } from '../config/load.ts'
import { KmeError } from '../errors.ts'
import { readRegularFile } from '../support/secret-file.ts'
import { type ClientFileOptions, readCa, withClientFiles, withFiles } from './client-files.ts'
import { statusText } from './status-text.ts'
import type { CliIo } from './terminal.ts'

interface StatusOptions extends ClientFileOptions {
  readonly config?: string
  readonly url?: string
  readonly json?: true
}

type Where = Pick<AdminClientOptions, 'url' | 'ca' | 'pinnedCert'>

/** Addresses that mean "every address" to a listener are none to call. */
const callable = (host: string): string => {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}

/** Only the text is read: an operator need not be allowed to read what the KME's user can. */
const whereOfConfig = async (file: string, ca: string | undefined): Promise<Where> => {
  const { admin } = parseConfig((await readRegularFile(file)).toString('utf8'), file).listeners
  if (admin.port === 0) {
    throw new KmeError('USAGE', `${file}: the admin port is chosen by the system: use --url`)
  }
  const url = `https://${callable(admin.host)}:${String(admin.port)}`
  return ca === undefined
    ? { url, pinnedCert: await readRegularFile(admin.certFile) }
    : { url, ca: await readCa(ca) }
}

/** The admin listener that the options name. @throws KmeError USAGE, CONFIG_INVALID */
export const whereOf = async ({
  config,
  url,
  ca,
}: Pick<StatusOptions, 'config' | 'url' | 'ca'>): Promise<Where> => {
  if (url !== undefined) return { url, ca: await readCa(ca) }
  if (config !== undefined) return whereOfConfig(config, ca)
  throw new KmeError('USAGE', 'which KME? Give -c FILE or --url URL; see keyspring status --help')
}

const status = (io: CliIo, options: StatusOptions): Promise<void> =>
  withFiles(options, async (files) => {
    const answer = await new AdminClient({ ...(await whereOf(options)), ...files }).status()
    if (options.json === true) io.out(JSON.stringify(answer, null, 2))
    else for (const line of statusText(answer)) io.out(line)
  })

/** `keyspring status`: throws KmeError where the KME does not answer. */
export const statusCommand = (io: CliIo): Command =>
  withClientFiles(new Command('status'), 'operator')
    .description('show the state of a running KME: links, QBER, rate, keys, and what is wrong')
    .option('-c, --config <file>', 'configuration of the KME: where its admin listener is')
    .option('--url <url>', 'the admin listener itself, for example https://127.0.0.1:8445')
    .option(
      '--ca <file>',
      "CA of the KME's certificate, PEM; with -c the certificate itself serves",
    )
    .option('--json', 'print the whole state as JSON')
    .action((options: StatusOptions) => status(io, options))
    .addHelpText(
      'after',
      `
Examples:
  keyspring status -c kme.yaml --cert operator.pem --key operator-key.pem
  keyspring status --url https://127.0.0.1:8445 --cert operator.pem --key operator-key.pem --ca kme-ca.pem
  keyspring status -c kme.yaml --cert operator.pem --key operator-key.pem --json`,
    )
