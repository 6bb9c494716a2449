import { Command, InvalidArgumentError } from 'commander'
import { Etsi014Client } from '../etsi014/client.ts'
import type { KeyMessage, StatusMessage } from '../etsi014/messages.ts'
import { wipe } from '../support/wipe.ts'
import { type ClientFileOptions, readCa, withClientFiles, withFiles } from './client-files.ts'
import { formatTable } from './table.ts'
import { type CliIo, printable } from './terminal.ts'

interface KeysOptions extends ClientFileOptions {
  readonly url: string
  readonly servername?: string
  readonly json?: true
}

interface GetOptions extends KeysOptions {
  readonly number?: number
  readonly size?: number
  readonly also?: readonly string[]
}

const withClient = <T>(
  options: KeysOptions,
  use: (client: Etsi014Client) => Promise<T>,
): Promise<T> =>
  withFiles(options, async ({ cert, key }) => {
    const { url, servername } = options
    using client = new Etsi014Client({
      url,
      cert,
      key,
      ca: await readCa(options.ca),
      ...(servername === undefined ? {} : { servername }),
    })
    return await use(client)
  })

/** The key container of the standard. The keys are the caller's own, and this is how it asked for them. */
const printKeys = (io: CliIo, keys: readonly KeyMessage[]): void => {
  try {
    const container = keys.map(({ key_ID, key }) => ({ key_ID, key: key.toString('base64') }))
    io.out(JSON.stringify({ keys: container }, null, 2))
  } finally {
    wipe(...keys.map(({ key }) => key))
  }
}

const bits = (count: number): string => `${String(count)} bit`

const statusLines = (status: StatusMessage): readonly string[] =>
  formatTable([
    ['from', `${status.master_SAE_ID} at ${status.source_KME_ID}`],
    ['to', `${status.slave_SAE_ID} at ${status.target_KME_ID}`],
    ['keys', `${String(status.stored_key_count)} of ${String(status.max_key_count)}`],
    [
      'size',
      `${bits(status.key_size)} unless asked otherwise, ${bits(status.min_key_size)} to ${bits(status.max_key_size)}`,
    ],
    ['per call', `${String(status.max_key_per_request)} keys at most`],
    ['slaves', `${String(status.max_SAE_ID_count)} more at most`],
  ])

const readCount = (text: string): number => {
  const count = Number(text)
  if (/^\d{1,9}$/.test(text) && count > 0) return count
  throw new InvalidArgumentError('expected a whole number above 0.')
}

const collect = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  value,
]

const clientCommand = (name: string): Command =>
  withClientFiles(new Command(name), 'SAE')
    .requiredOption('--url <url>', 'SAE listener of the KME, for example https://127.0.0.1:8443')
    .requiredOption('--ca <file>', "CA of the KME's certificate, PEM")
    .option('--servername <name>', "name in the KME's certificate, where it is not that of the URL")

const FILES = '--cert sae-a.pem --key sae-a-key.pem --ca kme-ca.pem'

const statusCommand = (io: CliIo): Command =>
  clientCommand('status')
    .description('show how many keys this SAE could draw for another one')
    .argument('<slave>', 'SAE ID of the other side')
    .option('--json', 'print the status of the standard as JSON')
    .action(async (slave: string, options: KeysOptions) => {
      const status = await withClient(options, (client) => client.status(slave))
      if (options.json === true) io.out(JSON.stringify(status, null, 2))
      else for (const line of statusLines(status)) io.out(printable(line))
    })
    .addHelpText(
      'after',
      `
Examples:
  keyspring keys status sae-b --url https://127.0.0.1:8443 ${FILES}`,
    )

const getCommand = (io: CliIo): Command =>
  clientCommand('get')
    .description('draw keys as their master, for another SAE')
    .argument('<slave>', 'SAE ID of the other side')
    .option('--number <keys>', 'how many (default: 1)', readCount)
    .option('--size <bits>', "length of each in bits (default: the KME's)", readCount)
    .option('--also <slave>', 'one more SAE that may fetch them; may be repeated', collect)
    .option('--json', 'print the keys as JSON, which it does anyway')
    .action(async (slave: string, { number, size, also, ...options }: GetOptions) => {
      const request = {
        ...(number === undefined ? {} : { number }),
        ...(size === undefined ? {} : { size }),
        ...(also === undefined ? {} : { additional_slave_SAE_IDs: also }),
      }
      printKeys(io, await withClient(options, (client) => client.getKey(slave, request)))
    })
    .addHelpText(
      'after',
      `
Examples:
  keyspring keys get sae-b --url https://127.0.0.1:8443 ${FILES}
  keyspring keys get sae-b --number 4 --size 512 --url https://127.0.0.1:8443 ${FILES}

The keys themselves go to standard output: mind who reads it.`,
    )

const fetchCommand = (io: CliIo): Command =>
  clientCommand('fetch')
    .description('fetch keys as their slave, by the IDs that the master got')
    .argument('<master>', 'SAE ID of the one that drew them')
    .argument('<key-id...>', 'key IDs')
    .option('--json', 'print the keys as JSON, which it does anyway')
    .action(async (master: string, keyIds: readonly string[], options: KeysOptions) => {
      printKeys(io, await withClient(options, (client) => client.getKeysWithIds(master, keyIds)))
    })
    .addHelpText(
      'after',
      `
Examples:
  keyspring keys fetch sae-a bc490419-7d60-487f-adc1-4ddcc177c139 --url https://127.0.0.1:9443 --cert sae-b.pem --key sae-b-key.pem --ca kme-ca.pem

Each SAE can fetch a key once. The keys go to standard output: mind who reads it.`,
    )

/** `keyspring keys ...`: an SAE's side of ETSI GS QKD 014, towards any KME. */
export const keysCommand = (io: CliIo): Command =>
  new Command('keys')
    .description('draw and fetch keys as an SAE, over ETSI GS QKD 014')
    .addCommand(statusCommand(io))
    .addCommand(getCommand(io))
    .addCommand(fetchCommand(io))
