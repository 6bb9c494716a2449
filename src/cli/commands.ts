import type { Command } from 'commander'
import type { CliIo } from './terminal.ts'

type LoadCommand = (io: CliIo) => Promise<Command>

/**
 * Every command, in the order of the help. Each is loaded only when it is named: `keys` on a
 * laptop needs no database.
 */
export const COMMANDS: Readonly<Record<string, LoadCommand>> = {
  demo: async (io) => (await import('./demo.ts')).demoCommand(io),
  serve: async (io) => (await import('./serve.ts')).serveCommand(io),
  status: async (io) => (await import('./status.ts')).statusCommand(io),
  keys: async (io) => (await import('./keys.ts')).keysCommand(io),
  config: async (io) => (await import('./config.ts')).configCommand(io),
  store: async (io) => (await import('./store.ts')).storeCommand(io),
  pki: async (io) => (await import('./pki.ts')).pkiCommand(io),
}

/** What `keyspring` alone does. */
export const DEFAULT_COMMAND = 'demo'

/** The command that the words name, or all of them, where help or an unknown word needs the list. */
export const loadCommands = async (
  argv: readonly string[],
  io: CliIo,
): Promise<readonly Command[]> => {
  const named = argv.find((word) => !word.startsWith('-'))
  const load = named !== undefined && Object.hasOwn(COMMANDS, named) ? COMMANDS[named] : undefined
  if (load !== undefined) return [await load(io)]
  return Promise.all(Object.values(COMMANDS).map((one) => one(io)))
}
