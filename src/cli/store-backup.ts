import { Command } from 'commander'
import { credentialsDirectory, loadConfig } from '../config/load.ts'
import type { Config, SqliteConfig } from '../config/schema.ts'
import { KmeError, isKmeError } from '../errors.ts'
import { openFileSealing } from '../sealing/file-sealing.ts'
import { writeBackup } from '../stores/sqlite/backup.ts'
import { type RestoreReport, restoreBackup } from '../stores/sqlite/restore-backup.ts'
import { systemClock, systemRandom } from '../support/system-clock.ts'
import type { CliIo } from './terminal.ts'

interface BackupOptions {
  readonly config: string
  readonly out: string
  readonly json?: true
}

interface RestoreOptions {
  readonly config: string
  readonly from: string
  readonly replace?: true
  readonly json?: true
}

const loadSqlite = async (file: string): Promise<{ config: Config; store: SqliteConfig }> => {
  const config = await loadConfig(file)
  const { store } = config
  if (store.type === 'sqlite') return { config, store }
  throw new KmeError('USAGE', `${file} names a store of type ${store.type}: it has no file`)
}

/** Says what to do where the store is in use. */
const whileStopped = async <T>(work: () => T | Promise<T>): Promise<T> => {
  try {
    return await work()
  } catch (error) {
    if (!isKmeError(error) || error.code !== 'STORE_LOCKED') throw error
    throw new KmeError('STORE_LOCKED', `${error.message}; where that is the KME, stop it first`, {
      cause: error,
    })
  }
}

const backup = async (io: CliIo, { config: file, out, json }: BackupOptions): Promise<void> => {
  const { store } = await loadSqlite(file)
  const report = await whileStopped(() => writeBackup(store.path, out, systemRandom))
  if (json === true) {
    io.out(JSON.stringify({ backup: { path: out, ...report } }, null, 2))
    return
  }
  io.out(`wrote the backup ${out} of ${store.path}`)
  io.out(`links: ${report.links.join(', ') || 'none'}; audit rows: ${String(report.auditRows)}`)
  io.out('It holds no key. A KME that is restored from it goes on with new key on each link.')
}

export const backupCommand = (io: CliIo): Command =>
  new Command('backup')
    .description('copy the store of a stopped KME, without any key, into a new file')
    .requiredOption('-c, --config <file>', 'the configuration file')
    .requiredOption('--out <file>', 'the backup to write; must not be there')
    .option('--json', 'print the result as JSON')
    .action((options: BackupOptions) => backup(io, options))
    .addHelpText(
      'after',
      `
Examples:
  keyspring store backup -c kme.yaml --out /backup/kme-2026-11-25.ksb

The backup holds the registrations, the audit record and how far each link has come, so that nothing is ever issued twice. It holds no key material in any form: keys that wait for an SAE are not in it.`,
    )

const describe = (path: string, { links, asidePath }: RestoreReport): readonly string[] => [
  `restored the store ${path}`,
  ...(asidePath === null ? [] : [`the store that was there lies at ${asidePath}`]),
  `links that begin anew: ${links.join(', ') || 'none'}`,
  'Start the KME: each link agrees on a new epoch with its peer and goes on with new key.',
]

const restore = async (io: CliIo, options: RestoreOptions): Promise<void> => {
  const { config, store } = await loadSqlite(options.config)
  const sealing = await openFileSealing(store.kekFile, {
    random: systemRandom,
    credentialsDirectory: credentialsDirectory(),
  })
  try {
    const report = await whileStopped(() =>
      restoreBackup({
        from: options.from,
        path: store.path,
        replace: options.replace === true,
        kmeId: config.kme.id,
        sealing,
        random: systemRandom,
        wallMs: systemClock.wallMs(),
      }),
    )
    if (options.json === true) io.out(JSON.stringify({ restored: report }, null, 2))
    else for (const line of describe(store.path, report)) io.out(line)
  } finally {
    sealing.close()
  }
}

export const restoreCommand = (io: CliIo): Command =>
  new Command('restore')
    .description('make the store of a stopped KME from a backup')
    .requiredOption('-c, --config <file>', 'the configuration file')
    .requiredOption('--from <file>', 'the backup')
    .option('--replace', 'put a store that is there aside')
    .option('--json', 'print the result as JSON')
    .action((options: RestoreOptions) => restore(io, options))
    .addHelpText(
      'after',
      `
Examples:
  keyspring store restore -c kme.yaml --from /backup/kme-2026-11-25.ksb
  keyspring store restore -c kme.yaml --from /backup/kme-2026-11-25.ksb --replace

The KEK file has to be there; "keyspring store init" makes a new one where it was lost, before the store is restored. Keys that SAEs of this KME had not fetched are lost, and no key of before is issued again.`,
    )
