import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { pkiCommand } from '../../src/cli/pki.ts'

const run = promisify(execFile)

/** Runs the openssl command and gives all that it printed; rejects where it fails. */
export const openssl = async (...args: readonly string[]): Promise<string> => {
  const { stdout, stderr } = await run('openssl', [...args])
  return stdout + stderr
}

/** Runs `keyspring pki ...` inside this process; gives the lines of its output. */
export const pki = async (...args: readonly string[]): Promise<string[]> => {
  const lines: string[] = []
  const io = { out: (line: string) => void lines.push(line), err: () => {} }
  await pkiCommand(io)
    .exitOverride()
    .parseAsync([...args], { from: 'user' })
  return lines
}

export interface Scratch extends AsyncDisposable {
  readonly dir: string
}

/** A folder with a space in its name, gone afterwards. */
export const scratch = async (): Promise<Scratch> => {
  const top = await mkdtemp(join(tmpdir(), 'keyspring-pki-'))
  return {
    dir: join(top, 'our pki'),
    [Symbol.asyncDispose]: () => rm(top, { recursive: true, force: true }),
  }
}
