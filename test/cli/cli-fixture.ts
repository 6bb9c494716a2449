import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { CliIo } from '../../src/cli/terminal.ts'

const ENTRY = fileURLToPath(new URL('../../bin/keyspring.js', import.meta.url))

export const startCli = (argv: readonly string[]): ChildProcessWithoutNullStreams =>
  spawn(process.execPath, [ENTRY, ...argv])

export interface CliResult {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** One command line as a process of its own. */
export const runCli = (argv: readonly string[]): Promise<CliResult> =>
  new Promise((resolve, reject) => {
    const child = startCli(argv)
    let [out, err] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text))
    child.on('error', reject)
    child.on('close', (code) => {
      resolve({ code, out, err })
    })
  })

export class RecordingIo implements CliIo {
  readonly outLines: string[] = []
  readonly errLines: string[] = []
  out = (line: string): void => {
    this.outLines.push(line)
  }
  err = (line: string): void => {
    this.errLines.push(line)
  }
}
