import { spawn } from 'node:child_process'
import { KmeError, messageOf } from '../errors.ts'
import { lastMessage } from './log-tail.ts'

/** How the demo runs a command of Keyspring: this very Node, and the file that starts the CLI. */
export interface Program {
  readonly node: string
  readonly entry: string
}

/** Enough for the last line of what a command said. */
const KEPT_CHARACTERS = 4096

/**
 * Runs a command to its end.
 * @throws KmeError INTERNAL with the last line that it wrote, where it fails
 */
export const runCommand = async (
  { node, entry }: Program,
  args: readonly string[],
  signal: AbortSignal,
): Promise<void> => {
  const child = spawn(node, [entry, ...args], { stdio: ['ignore', 'ignore', 'pipe'], signal })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-KEPT_CHARACTERS)
  })
  const end = await new Promise<string | null>((resolve) => {
    child.once('error', (error) => {
      resolve(messageOf(error))
    })
    child.once('close', (code, killed) => {
      resolve(code === 0 ? null : (lastMessage(said) ?? `ended with ${String(code ?? killed)}`))
    })
  })
  if (end === null || signal.aborted) return
  throw new KmeError('INTERNAL', `keyspring ${args.slice(0, 2).join(' ')} failed: ${end}`)
}
