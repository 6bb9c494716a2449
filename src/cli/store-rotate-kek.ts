import { Command } from 'commander'
import { AdminClient } from '../admin/client.ts'
import { credentialsDirectory, loadConfig } from '../config/load.ts'
import type { Config, SqliteConfig } from '../config/schema.ts'
import { KmeError, isKmeError } from '../errors.ts'
import { openFileSealing } from '../sealing/file-sealing.ts'
import type { KekReplacement } from '../sealing/kek-replacement.ts'
import { beginKekReplacement, finishKekReplacement } from '../sealing/kek-replacement.ts'
import { openSqliteStore } from '../stores/sqlite/sqlite-store.ts'
import { isStoreFile } from '../stores/sqlite/store-file.ts'
import type { Store } from '../stores/store.ts'
import { systemRandom } from '../support/system-clock.ts'
import { type ClientFileOptions, withFiles } from './client-files.ts'
import { whereOf } from './status.ts'
import type { CliIo } from './terminal.ts'

interface RotateOptions extends Partial<ClientFileOptions> {
  readonly config: string
  readonly url?: string
  readonly json?: true
}

const sealingOptions = () => ({
  random: systemRandom,
  credentialsDirectory: credentialsDirectory(),
})

/** Puts the store under the newest KEK of the file. */
type PutUnder = (replacement: KekReplacement) => Promise<void>

/** At every point the file holds what opens the store, and running this again finishes it. */
const replace = async (kekFile: string, putUnder: PutUnder): Promise<KekReplacement> => {
  const replacement = await beginKekReplacement(kekFile, sealingOptions())
  await putUnder(replacement)
  await finishKekReplacement(kekFile, replacement, sealingOptions())
  return replacement
}

const openStopped = async ({ path, kekFile }: SqliteConfig): Promise<Store> => {
  if (!isStoreFile(path)) throw new KmeError('STORE_FAILED', `there is no store at ${path}`)
  const sealing = await openFileSealing(kekFile, sealingOptions())
  try {
    return await openSqliteStore({ path, sealing, random: systemRandom })
  } catch (error) {
    if (!isKmeError(error) || error.code !== 'STORE_LOCKED') throw error
    const hint = 'where that is the KME, give --cert and --key of an operator, so that it is told'
    throw new KmeError('STORE_LOCKED', `${error.message}; ${hint}`, { cause: error })
  } finally {
    sealing.close()
  }
}

/** The store is open, and so locked, all the time: no KME starts meanwhile. */
const rotateStopped = async (config: SqliteConfig): Promise<KekReplacement> => {
  const store = await openStopped(config)
  try {
    return await replace(config.kekFile, async () => {
      const sealing = await openFileSealing(config.kekFile, sealingOptions())
      try {
        await store.rewrap(sealing)
      } finally {
        sealing.close()
      }
    })
  } finally {
    await store.close()
  }
}

const rotateRunning = (
  { kme }: Config,
  { kekFile }: SqliteConfig,
  options: RotateOptions & ClientFileOptions,
): Promise<KekReplacement> =>
  withFiles(options, async (files) => {
    const client = new AdminClient({ ...(await whereOf(options)), ...files })
    const { kmeId } = (await client.status()).kme
    if (kmeId !== kme.id) {
      throw new KmeError('USAGE', `KME ${kmeId} answers, but ${options.config} is of KME ${kme.id}`)
    }
    return replace(kekFile, ({ kekId }) => client.rotateKek(kekId))
  })

const rotate = (
  options: RotateOptions,
  config: Config,
  store: SqliteConfig,
): Promise<KekReplacement> => {
  const { cert, key, ca, url } = options
  if (cert !== undefined && key !== undefined) {
    return rotateRunning(config, store, { ...options, cert, key })
  }
  if ([cert, key, ca, url].every((option) => option === undefined)) return rotateStopped(store)
  throw new KmeError('USAGE', 'a running KME is told by an operator: give both --cert and --key')
}

const describe = (kekFile: string, { formerKekId, kekId }: KekReplacement): readonly string[] => [
  `the store is under KEK ${kekId} now: KEK ${formerKekId} opens nothing of it any more`,
  `Back up the KEK file ${kekFile} now. Destroy KEK ${formerKekId}, and copies of the store's file that were made before: it opens them (a backup by "store backup" holds no key and needs no KEK).`,
]

const run = async (io: CliIo, options: RotateOptions): Promise<void> => {
  const config = await loadConfig(options.config)
  const { store } = config
  if (store.type !== 'sqlite') {
    throw new KmeError('USAGE', `${options.config} names a store of type ${store.type}: no KEK`)
  }
  const replacement = await rotate(options, config, store)
  const { kekFile } = store
  if (options.json === true) io.out(JSON.stringify({ kekFile, ...replacement }, null, 2))
  else for (const line of describe(kekFile, replacement)) io.out(line)
}

/** `keyspring store rotate-kek`: throws KmeError; the store opens with the KEK file then as before. */
export const rotateKekCommand = (io: CliIo): Command =>
  new Command('rotate-kek')
    .description('put the store under a new key-encryption key (KEK), also while the KME runs')
    .requiredOption('-c, --config <file>', 'the configuration file')
    .option('--cert <file>', 'certificate of an operator, PEM: the KME runs and is told')
    .option('--key <file>', 'its private key, PEM, not readable by group or others')
    .option('--url <url>', 'the admin listener, where it is not that of the configuration')
    .option('--ca <file>', "CA of the KME's certificate, PEM; by itself the certificate serves")
    .option('--json', 'print the result as JSON')
    .action((options: RotateOptions) => run(io, options))
    .addHelpText(
      'after',
      `
Examples:
  keyspring store rotate-kek -c kme.yaml --cert operator.pem --key operator-key.pem
  keyspring store rotate-kek -c kme.yaml
  keyspring store rotate-kek -c kme.yaml --json

Without --cert and --key the KME must be stopped. Run it as the KME's user or as root, on its host.
Should it be interrupted, the KEK file holds both KEKs, the KME starts with it, and running it again
finishes what was begun.`,
    )
