import { performance } from 'node:perf_hooks'
import { Command, InvalidArgumentError } from 'commander'
import { credentialsDirectory, examineConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { certificateWarnings } from '../config/summary.ts'
import type { KmeError } from '../errors.ts'
import { createObserver } from '../log.ts'
import { runtimeWarning } from './runtime.ts'
import { type StopSignalParts, StopSignals } from './stop-signals.ts'
import type { CliIo } from './terminal.ts'
import { programVersion } from './version.ts'

/** What `serve` needs of a running KME. */
export interface ServedKme {
  describe(): readonly string[]
  stop(drainMs: number): Promise<void>
  readonly failed: Promise<KmeError>
}

/** What a test puts in place of the real ones. */
export interface ServeParts {
  readonly start: (config: Config, io: CliIo) => Promise<ServedKme>
  readonly signals: StopSignalParts
}

interface ServeOptions {
  readonly config: string
  readonly drain: number
}

const DEFAULT_DRAIN_S = 10
const MAX_DRAIN_S = 3600
const MS_PER_S = 1000

const start = async (config: Config, io: CliIo): Promise<ServedKme> => {
  const observer = createObserver({
    level: config.log.level,
    wallMs: Date.now,
    write: (line) => {
      io.err(line)
    },
  })
  const warning = runtimeWarning() ?? null
  if (warning !== null) {
    observer.event({ level: 'warn', name: 'runtime.weakness', message: warning })
  }
  const { startKme } = await import('../kme.ts')
  return startKme(config, {
    observer,
    version: programVersion(),
    runtimeWarning: warning,
    credentialsDirectory: credentialsDirectory(),
  })
}

const realParts: ServeParts = {
  start,
  signals: {
    source: process,
    monotonicMs: () => performance.now(),
    exit: (code) => process.exit(code),
  },
}

const readSeconds = (text: string): number => {
  const seconds = Number(text)
  if (/^\d+$/.test(text) && seconds <= MAX_DRAIN_S) return seconds
  throw new InvalidArgumentError(`expected whole seconds, 0 to ${String(MAX_DRAIN_S)}.`)
}

const serve = async (io: CliIo, options: ServeOptions, parts: ServeParts): Promise<void> => {
  // Before the start: a signal that comes while the store opens is not lost.
  using signals = new StopSignals(parts.signals)
  const { config, certificates } = await examineConfig(options.config)
  const kme = await parts.start(config, io)
  for (const line of kme.describe()) io.err(`keyspring: ${line}`)
  for (const warning of certificateWarnings(certificates, new Date())) {
    io.err(`keyspring: warning: ${warning}`)
  }
  const end = await Promise.race([signals.first, kme.failed])
  if (typeof end !== 'string') {
    // Nothing more is promised to anybody; what can still be closed is.
    await kme.stop(0).catch(() => undefined)
    throw end
  }
  io.err(`keyspring: ${end}: stopping, requests under way have ${String(options.drain)} s`)
  await kme.stop(options.drain * MS_PER_S)
  io.err('keyspring: stopped')
}

/** `keyspring serve`: runs one KME until a signal; throws KmeError where it cannot start or go on. */
export const serveCommand = (io: CliIo, parts: ServeParts = realParts): Command =>
  new Command('serve')
    .description('run one KME until it gets SIGTERM or SIGINT')
    .requiredOption('-c, --config <file>', 'the configuration file')
    .option(
      '--drain <seconds>',
      'how long requests under way may take when it stops',
      readSeconds,
      DEFAULT_DRAIN_S,
    )
    .action((options: ServeOptions) => serve(io, options, parts))
    .addHelpText(
      'after',
      `
Examples:
  keyspring config check -c kme.yaml
  keyspring store init -c kme.yaml
  keyspring serve -c kme.yaml
  keyspring serve -c kme.yaml 2>> kme.log

Everything it has to say goes to standard error: what listens and what is still missing in words, then the log, one JSON object per line. A second signal, a second later or more, ends it at once.`,
    )
