import { describe, expect, test } from '@jest/globals'
import { COMMANDS } from '../../src/cli/commands.ts'
import { run } from '../../src/cli/run.ts'
import { RecordingIo, runCli, startCli } from './cli-fixture.ts'

interface Line {
  readonly argv: string
  readonly code: number
  readonly out?: RegExp
  readonly err?: RegExp
}

const LINES: readonly Line[] = [
  { argv: '--version', code: 0, out: /^\d+\.\d+\.\d+$/ },
  { argv: '--help', code: 0, out: /Examples:\n {2}keyspring {2,}/ },
  { argv: 'keys get --help', code: 0, out: /^Usage: keyspring keys get [^]*Examples:/ },
  {
    argv: 'serv',
    code: 2,
    err: /^keyspring: unknown command 'serv' \(Did you mean serve\?\); see keyspring --help$/,
  },
  {
    argv: '--nothing',
    code: 2,
    err: /^keyspring: unknown option '--nothing'; see keyspring demo --help$/,
  },
  // Options without a command are the demo's.
  { argv: '--km far', code: 2, err: /^keyspring: --km "far": expected a number/ },
  {
    argv: 'serve',
    code: 2,
    err: /^keyspring: required option '-c, --config <file>' not specified; see keyspring serve --help$/,
  },
  { argv: 'serve --nothing', code: 2, err: /; see keyspring serve --help$/ },
  { argv: 'serve -c x --drain soon', code: 2, err: /expected whole seconds, 0 to 3600/ },
  {
    argv: 'serve -c /nonexistent/kme.yaml',
    code: 2,
    err: /^keyspring: \/nonexistent\/kme\.yaml: no such file$/,
  },
  { argv: 'keys', code: 2, err: /\nkeyspring: a command is missing; see keyspring keys --help$/ },
  { argv: 'keys get sae-b', code: 2, err: /; see keyspring keys get --help$/ },
  {
    argv: 'keys get b --number 0 --url u --cert c --key k --ca a',
    code: 2,
    err: /expected a whole number above 0/,
  },
  {
    argv: 'keys status b --url https://127.0.0.1:1 --cert /none --key /none --ca /none',
    code: 2,
    err: /^keyspring: \/none: no such file$/,
  },
  { argv: 'status --cert /none --key /none', code: 2, err: /^keyspring: \/none: no such file$/ },
  { argv: 'status --cert', code: 2, err: /argument missing; see keyspring status --help$/ },
]

describe('A command line', () => {
  test.each(LINES)('`$argv` ends with $code', async ({ argv, code, out, err }) => {
    const io = new RecordingIo()
    expect(await run(argv.split(' '), io)).toBe(code)
    expect(io.outLines.join('\n')).toMatch(out ?? /^$/)
    expect(io.errLines.join('\n')).toMatch(err ?? /^$/)
  })

  test.each(Object.keys(COMMANDS))(
    '`%s --help` has examples, and so have its subcommands',
    async (name) => {
      const command = await COMMANDS[name]!(new RecordingIo())
      const leaves = command.commands.length === 0 ? [command] : command.commands
      for (const leaf of leaves) {
        const io = new RecordingIo()
        const words = leaf === command ? [name] : [name, leaf.name()]
        expect(await run([...words, '--help'], io)).toBe(0)
        expect(io.outLines.join('\n')).toContain(`keyspring ${words.join(' ')}`)
        expect(io.outLines.join('\n')).toContain('Examples:')
      }
    },
  )

  test('an error is one line without a stack, which --debug adds', async () => {
    const io = new RecordingIo()
    expect(await run(['--debug', 'serve', '-c', '/nonexistent'], io)).toBe(2)
    expect(io.errLines.join('\n')).toMatch(/\n\s*keyspring: +at |keyspring: {5}at /)
  })

  test('a name with control characters does not reach the terminal as they are', async () => {
    const io = new RecordingIo()
    await run(['serve', '-c', '/none\u001b[31m'], io)
    expect(io.errLines).toEqual(['keyspring: /none?[31m: no such file'])
  })
})

describe('The program', () => {
  test('writes results to stdout, errors to stderr, and ends with the code', async () => {
    expect(await runCli(['--version'])).toMatchObject({ code: 0, err: '' })
    const wrong = await runCli(['serv'])
    expect([wrong.code, wrong.out]).toEqual([2, ''])
    expect(wrong.err.trim().split('\n')).toHaveLength(1)
  })

  test('ends quietly when nobody reads its output any more', async () => {
    const child = startCli(['config', 'reference'])
    child.stdout.destroy()
    let err = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text))
    const code = await new Promise((resolve) => child.on('close', resolve))
    expect([code, err]).toEqual([0, ''])
  })
})
