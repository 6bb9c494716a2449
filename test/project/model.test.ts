import { describe, expect, test } from '@jest/globals'
import { readFileSync } from 'node:fs'
import { readSearch, surprise } from '../../scripts/model/judge.ts'
import { models, takenBy } from '../../scripts/model/runs.ts'
import { inProject, projectRoot, run } from './project.ts'

const readme = readFileSync(inProject('docs/model/README.md'), 'utf8')
const protocol = readFileSync(inProject('docs/protocol.md'), 'utf8')

const found = (text: string, pattern: RegExp): string[] =>
  [...new Set([...text.matchAll(pattern)].map((match) => match[1] ?? ''))].sort()

const names = (runs: readonly { readonly name: string }[]): string[] =>
  [...new Set(runs.map(({ name }) => name))].sort()

describe.each(models.map((model) => [model.file, model] as const))(
  'the table of runs of %s',
  (file, { configurations, mutants, witnesses }) => {
    const source = readFileSync(inProject(`docs/model/${file}`), 'utf8')

    test('has every mutant of the model, and the model has every mutant of the table', () => {
      const taken = [...new Set(mutants.flatMap(takenBy))].sort()

      expect(taken).toEqual(found(source, /\bMUTANT_(\w+)/g))
      expect(mutants.length).toBeGreaterThan(0)
    })

    test('has every event that the model can witness', () => {
      expect(names(witnesses)).toEqual(found(source, /\bSEE\(([A-Z]\w+),/g))
    })

    test('puts each mutant and each witness beside a clean search of the same size', () => {
      const sizes = configurations.map(({ name }) => name)

      const alone = [...mutants, ...witnesses].filter((run) => !sizes.includes(run.configuration))

      expect(alone).toEqual([])
    })
  },
)

describe('the table of runs', () => {
  const mutants = models.flatMap((model) => model.mutants)

  test('is told in full by the page of the model, with rule and promise', () => {
    const rows = found(readme, /^\| (`[\w+]+` \| `[\w-]+` \| [\w-]+) \|/gm)
    const told = mutants.map(
      ({ name, rule, breaks }) => `\`${name}\` | \`${rule}\` | ${breaks ?? 'covered'}`,
    )

    expect(rows).toEqual([...new Set(told)].sort())
    expect(found(readme, /^\| `(\w+)` \| witness \|/gm)).toEqual(
      names(models.flatMap((model) => model.witnesses)),
    )
    expect(found(readme, /^\| ([a-z-]+)(?::.*)? \| \d\+\d(?:, \d\+\d)? \|/gm)).toEqual(
      names(models.flatMap((model) => model.configurations)),
    )
  })

  test('names rules that the page of the protocol has', () => {
    const rules = found(protocol, /^- \*\*([a-z-]+)\*\*/gm)

    expect(mutants.map(({ rule }) => rule).filter((rule) => !rules.includes(rule))).toEqual([])
  })

  test('gives no two configurations one name', () => {
    const all = models.flatMap((model) => model.configurations)

    expect(names(all)).toHaveLength(all.length)
  })
})

const complete = `
(Spin Version 6.5.2 -- 6 December 2019)
	+ Compression

Full statespace search for:
	never claim         	- (none specified)
	assertion violations	+

State-vector 92 byte, depth reached 57, errors: 0
   138764 states, stored
   472000 states, matched
`

const broken = `pan:1: assertion violated P4_holds (at depth 14)
pan: wrote model.pml.trail

Warning: Search not completed

Full statespace search for:
	assertion violations	+

State-vector 92 byte, depth reached 16, errors: 1
      237 states, stored
`

const judged = (output: string, violated: string | null, exitCode: number | null = 0) =>
  surprise(readSearch(output, exitCode), { violated })

describe('the judge', () => {
  test('is content with a whole search without a violation, and with the expected violation', () => {
    expect(judged(complete, null)).toBeNull()
    expect(judged(broken, 'P4_holds')).toBeNull()
    expect(readSearch(complete, 0).states).toBe(138764)
  })

  test('finds a promise that is broken where all should hold', () => {
    expect(judged(broken, null)).toBe('P4_holds is broken')
  })

  test('finds another promise broken than the expected one', () => {
    expect(judged(broken, 'P1_holds')).toBe('P4_holds is broken, not P1_holds')
  })

  test('finds a mutant that no trace betrays', () => {
    expect(judged(complete, 'P1_holds')).toBe('no trace breaks P1_holds')
  })

  test.each([
    ['too deep', `error: max search depth too small\n${complete}`],
    ['stopped', `Warning: Search not completed\n${complete}`],
    ['out of memory', `pan: reached -DMEMLIM bound\n${complete}`],
    ['by hash alone', complete.replace('Full statespace', 'Bit statespace')],
    ['cut off', complete.slice(0, complete.indexOf('State-vector'))],
    ['with another error', complete.replace('errors: 0', 'errors: 1')],
    ['without a state', complete.replace('138764', '0')],
    ['empty', ''],
  ])('takes no search for a whole one that was %s', (_what, output) => {
    expect(judged(output, null)).toMatch(/^incomplete: /)
  })

  test('takes no search for a whole one whose verifier was killed or failed', () => {
    expect(judged(complete, null, null)).toMatch(/^incomplete: /)
    expect(judged(complete, null, 1)).toMatch(/^incomplete: /)
  })

  test('a search cut off before it found what it should says so', () => {
    expect(judged('', 'P1_holds')).toMatch(/^incomplete: /)
  })
})

describe('npm run model', () => {
  const command = (args: readonly string[], env: NodeJS.ProcessEnv = process.env) =>
    run(process.execPath, [inProject('scripts/model.ts'), ...args], { cwd: projectRoot, env })

  test('says in one line that spin or gcc is missing', () => {
    expect(command([], { PATH: '/nonexistent' })).toMatchObject({
      status: 1,
      stdout: '',
      stderr: 'npm run model: spin and gcc not found: install what is missing\n',
    })
  })
})
