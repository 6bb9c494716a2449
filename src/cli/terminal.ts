/** Where a command writes: results to `out`, everything else to `err`. Given in, so that tests read along. */
export interface CliIo {
  out(line: string): void
  err(line: string): void
}

/** Control characters of a file's name or a peer's answer must not reach the terminal. */
export const printable = (line: string): string => line.replace(/\p{Cc}/gu, '?')

/** The terminal that the process was started from. */
export const consoleIo = (): CliIo => ({
  out: (line) => {
    console.log(line)
  },
  err: (line) => {
    console.error(line)
  },
})

/**
 * Whoever reads the output may stop reading: `keyspring ... | head`. For results that is the end of
 * the command; a server goes on without its log.
 */
export const tolerateClosedPipes = (): void => {
  const closed = (error: NodeJS.ErrnoException): boolean => error.code === 'EPIPE'
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (!closed(error)) throw error
    process.exit(0)
  })
  process.stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (!closed(error)) throw error
  })
}
