import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { Command } from 'commander'
import { credentialsDirectory, loadConfig } from '../config/load.ts'
import type { SqliteConfig } from '../config/schema.ts'
import { KmeError, messageOf } from '../errors.ts'
import { openFileSealing } from '../sealing/file-sealing.ts'
import { makeKekFile } from '../sealing/kek-file.ts'
import { openSqliteBackend } from '../stores/sqlite/sqlite-backend.ts'
import { isStoreFile } from '../stores/sqlite/store-file.ts'
import { systemRandom } from '../support/system-clock.ts'
import { backupCommand, restoreCommand } from './store-backup.ts'
import { rotateKekCommand } from './store-rotate-kek.ts'
import type { CliIo } from './terminal.ts'

interface InitOptions {
  readonly config: string
  readonly json?: true
}

interface InitReport {
  readonly store: { readonly path: string; readonly made: boolean }
  readonly kek: { readonly path: string; readonly made: boolean }
}

/** Whether a file with anything in it is there: a crash while it was made leaves an empty one. */
const isThere = (path: string): boolean => {
  try {
    return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0
  } catch (error) {
    throw new KmeError('STORE_FAILED', `${path} cannot be reached: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

const makeDirectory = (path: string): void => {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  } catch (error) {
    const what = `the directory ${dirname(path)} cannot be made: ${messageOf(error)}`
    throw new KmeError('STORE_FAILED', what, { cause: error })
  }
}

const makeStore = async ({ path, kekFile }: SqliteConfig): Promise<void> => {
  makeDirectory(path)
  const sealing = await openFileSealing(kekFile, {
    random: systemRandom,
    credentialsDirectory: credentialsDirectory(),
  })
  try {
    const store = await openSqliteBackend({ path, sealing, random: systemRandom })
    await store.close()
  } finally {
    sealing.close()
  }
}

/**
 * Makes what is missing of the KEK file and the store, and changes nothing of what is there.
 * @throws KmeError SEALING_FAILED where a store is there without its KEK: a new one would not open it
 */
const initStore = async (config: SqliteConfig): Promise<InitReport> => {
  const kekIsThere = isThere(config.kekFile)
  if (isThere(config.path) && !kekIsThere) {
    throw new KmeError(
      'SEALING_FAILED',
      `the store ${config.path} is there but its KEK file ${config.kekFile} is not: put it back from its backup; a new one would not open the store`,
    )
  }
  if (!kekIsThere) {
    makeDirectory(config.kekFile)
    makeKekFile(config.kekFile, systemRandom)
  }
  const storeIsThere = isStoreFile(config.path)
  if (!storeIsThere) await makeStore(config)
  return {
    store: { path: config.path, made: !storeIsThere },
    kek: { path: config.kekFile, made: !kekIsThere },
  }
}

const describe = ({ store, kek }: InitReport): readonly string[] => [
  kek.made ? `made the KEK file ${kek.path}` : `KEK file ${kek.path} is there: not changed`,
  store.made ? `made the empty store ${store.path}` : `store ${store.path} is there: not changed`,
  ...(kek.made
    ? [
        'Back up the KEK file now, apart from the store: without it nobody can open the keys in the store, with it anybody who has the store can.',
      ]
    : []),
]

const init = async (io: CliIo, options: InitOptions): Promise<void> => {
  const { store } = await loadConfig(options.config)
  if (store.type !== 'sqlite') {
    throw new KmeError(
      'USAGE',
      `${options.config} names a store of type ${store.type}: it has no file to make`,
    )
  }
  const report = await initStore(store)
  if (options.json === true) io.out(JSON.stringify(report, null, 2))
  else for (const line of describe(report)) io.out(line)
}

const initCommand = (io: CliIo): Command =>
  new Command('init')
    .description(
      'make the key-encryption key (KEK) file and the empty store, where they are missing',
    )
    .requiredOption('-c, --config <file>', 'the configuration file')
    .option('--json', 'print the result as JSON')
    .action((options: InitOptions) => init(io, options))
    .addHelpText(
      'after',
      `
Examples:
  keyspring store init -c config/site-a.yaml
  keyspring store init -c config/site-a.yaml --json

Running it again changes nothing. Back up the KEK file apart from the store.`,
    )

/** `keyspring store ...`: throws KmeError where the store or its KEK file cannot be made or changed. */
export const storeCommand = (io: CliIo): Command =>
  new Command('store')
    .description('make the store in which a KME keeps its keys, back it up, and change its KEK')
    .addCommand(initCommand(io))
    .addCommand(backupCommand(io))
    .addCommand(restoreCommand(io))
    .addCommand(rotateKekCommand(io))
