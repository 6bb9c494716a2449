import { Command, CommanderError } from 'commander'
import { isKmeError, messageOf } from '../errors.ts'
import { DEFAULT_COMMAND, loadCommands } from './commands.ts'
import { EXIT, exitCodeOf } from './exit-codes.ts'
import { type CliIo, printable } from './terminal.ts'
import { programVersion } from './version.ts'

/** The words of a command line are off: which help to read is part of the line. */
class UsageError extends Error {}

const helpOf = (command: Command): string => {
  const names: string[] = []
  for (let one: Command | null = command; one !== null; one = one.parent) names.unshift(one.name())
  return `${names.join(' ')} --help`
}

const oneLine = (text: string): string =>
  text
    .replace(/^error: /, '')
    .trim()
    .replace(/\s*\n\s*/g, ' ')

/** Makes a command and its subcommands throw instead of exiting, and write where the rest writes. */
const tame = (command: Command, io: CliIo): void => {
  const write = (to: (line: string) => void) => (text: string) => {
    to(text.replace(/\n$/, ''))
  }
  command.configureOutput({
    writeOut: write((line) => {
      io.out(line)
    }),
    writeErr: write((line) => {
      io.err(line)
    }),
    outputError: () => undefined,
  })
  command.exitOverride((error) => {
    // Help and version were asked for; help that was not asked for means that a word is missing.
    if (error.exitCode === 0) throw error
    const what = error.code === 'commander.help' ? 'a command is missing' : oneLine(error.message)
    throw new UsageError(`${what}; see ${helpOf(command)}`, { cause: error })
  })
  for (const one of command.commands) tame(one, io)
}

const program = async (argv: readonly string[], io: CliIo): Promise<Command> => {
  const top = new Command('keyspring')
    .description(
      'Key management entity for quantum key distribution: takes keys from QKD devices and delivers them to applications over ETSI GS QKD 014.',
    )
    .version(programVersion(), '-V, --version', 'print the version')
    .option('--debug', 'print the stack of an error that nobody expected')
    .helpOption('-h, --help', 'print this help')
    .addHelpText(
      'after',
      `
Examples:
  keyspring                          two KMEs with a simulated link, on this machine
  keyspring config check -c kme.yaml
  keyspring serve -c kme.yaml
  keyspring COMMAND --help           examples of one command

Exit codes: 0 done, 1 failed, 2 wrong words or configuration.`,
    )
  for (const command of await loadCommands(argv, io)) top.addCommand(command)
  tame(top, io)
  return top
}

const tell = (io: CliIo, message: string): void => {
  for (const line of message.split('\n')) io.err(`keyspring: ${printable(line)}`)
}

const report = (error: unknown, io: CliIo, debug: boolean): number => {
  if (error instanceof CommanderError) return error.exitCode
  if (error instanceof UsageError) {
    tell(io, error.message)
    return EXIT.usage
  }
  if (debug && error instanceof Error) tell(io, error.stack ?? '')
  if (isKmeError(error)) {
    tell(io, error.message)
    return exitCodeOf(error.code)
  }
  const [first = ''] = messageOf(error).split('\n')
  tell(io, `unexpected error: ${first} (--debug prints where)`)
  return EXIT.failed
}

const OF_THE_PROGRAM: ReadonlySet<string> = new Set(['-h', '--help', '-V', '--version'])

/** Without a command, options are the demo's: `npm start -- --port-base 9440`. */
const namesCommand = ([first]: readonly string[]): boolean =>
  first !== undefined && (!first.startsWith('-') || OF_THE_PROGRAM.has(first))

/** Runs one command line, without `node` and the script's name. Resolves with the exit code; never rejects. */
export const run = async (argv: readonly string[], io: CliIo): Promise<number> => {
  const debug = argv.includes('--debug')
  const rest = argv.filter((word) => word !== '--debug')
  const words = namesCommand(rest) ? rest : [DEFAULT_COMMAND, ...rest]
  try {
    await (await program(words, io)).parseAsync([...words], { from: 'user' })
    return EXIT.done
  } catch (error) {
    return report(error, io, debug)
  }
}
