import './runtime.ts'
import { run } from './run.ts'
import { consoleIo, tolerateClosedPipes } from './terminal.ts'

/** What is still open when a command is done should not be: this is how long it may delay the exit. */
const LINGER_MS = 1000

tolerateClosedPipes()
process.exitCode = await run(process.argv.slice(2), consoleIo())
setTimeout(() => {
  process.exit()
}, LINGER_MS).unref()
