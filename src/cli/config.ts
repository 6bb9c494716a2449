import { Command } from 'commander'
import { isKmeError } from '../errors.ts'
import type { Config } from '../config/schema.ts'
import { type ExaminedConfig, examineConfig } from '../config/load.ts'
import { configReference } from '../config/reference.ts'
import { configJsonSchema } from '../config/schema-view.ts'
import { configSummary, configWarnings } from '../config/summary.ts'
import { runtimeWarning } from './runtime.ts'
import type { CliIo } from './terminal.ts'

interface CheckOptions {
  readonly config: string
  readonly json?: true
}

const json = (value: unknown): string => JSON.stringify(value, null, 2)

const warningsOf = (examined: ExaminedConfig): readonly string[] => {
  const runtime = runtimeWarning()
  const warnings = configWarnings(examined, new Date())
  return runtime === undefined ? warnings : [runtime, ...warnings]
}

/** Counts and names for programs; `config check` without --json says the same in words. */
const factsOf = (config: Config) => ({
  kme: config.kme.id,
  listeners: Object.keys(config.listeners),
  store: config.store.type,
  links: config.links.map((link) => ({
    id: link.id,
    peer: link.peer,
    devices: link.devices.map(({ id, driver, role }) => ({ id, driver, role })),
  })),
  saes: config.saes.map((sae) => sae.id),
})

const examine = async (io: CliIo, options: CheckOptions): Promise<ExaminedConfig> => {
  try {
    return await examineConfig(options.config)
  } catch (error) {
    if (options.json === true && isKmeError(error, 'CONFIG_INVALID')) {
      io.out(json({ ok: false, problems: error.details ?? [{ problem: error.message }] }))
    }
    throw error
  }
}

const check = async (io: CliIo, options: CheckOptions): Promise<void> => {
  const examined = await examine(io, options)
  const warnings = warningsOf(examined)
  if (options.json === true) {
    io.out(json({ ok: true, warnings, ...factsOf(examined.config) }))
    return
  }
  io.out(`OK: ${options.config}`)
  for (const line of configSummary(examined.config)) io.out(`  ${line}`)
  for (const warning of warnings) io.out(`warning: ${warning}`)
}

const checkCommand = (io: CliIo): Command =>
  new Command('check')
    .description('check a configuration and every file that it names, and say what would run')
    .requiredOption('-c, --config <file>', 'the configuration file')
    .option('--json', 'print the result as JSON')
    .action((options: CheckOptions) => check(io, options))
    .addHelpText(
      'after',
      `
Examples:
  keyspring config check -c config/site-a.yaml
  keyspring config check -c config/site-a.yaml --json

Exit code 2, and one line per problem with file, line and option, when the configuration cannot be used.`,
    )

const referenceCommand = (io: CliIo): Command =>
  new Command('reference')
    .description('print every option with its default and meaning')
    .option('--json', 'print a JSON Schema, for editors, instead of Markdown')
    .action((options: { readonly json?: true }) => {
      io.out(options.json === true ? json(configJsonSchema()) : configReference())
    })
    .addHelpText(
      'after',
      `
Examples:
  keyspring config reference
  keyspring config reference --json > keyspring.schema.json`,
    )

/** `keyspring config ...`: throws KmeError CONFIG_INVALID where a configuration cannot be used. */
export const configCommand = (io: CliIo): Command =>
  new Command('config')
    .description('check a configuration file, or print the reference of its options')
    .addCommand(checkCommand(io))
    .addCommand(referenceCommand(io))
