import { expect, test } from '@jest/globals'
import { inProject, projectRoot, run } from './project.ts'

/** Lints texts as if they were those files; without types, so that the files need not exist. */
const program = `
  import { ESLint } from 'eslint'
  import tseslint from 'typescript-eslint'
  import { text } from 'node:stream/consumers'
  const eslint = new ESLint({ overrideConfig: tseslint.configs.disableTypeChecked })
  const rules = []
  for (const [filePath, source] of JSON.parse(await text(process.stdin))) {
    const [{ messages }] = await eslint.lintText(source, { filePath })
    rules.push(messages.filter(({ severity }) => severity === 2).map(({ ruleId }) => ruleId))
  }
  console.log(JSON.stringify(rules))
`

const long = `export const f = () => {\n${'  f()\n'.repeat(60)}}\n`

const cases: readonly (readonly [file: string, source: string, rules: readonly string[]])[] = [
  ['src/links/a.ts', 'export const t = Date.now()', ['no-restricted-syntax']],
  ['src/delivery/a.ts', 'export const t = new Date()', ['no-restricted-syntax']],
  ['src/delivery/b.ts', 'setTimeout(() => 0, 1)', ['no-restricted-syntax']],
  ['src/delivery/c.ts', 'globalThis.setInterval(() => 0, 1)', ['no-restricted-syntax']],
  [
    'src/links/b.ts',
    "import { setTimeout } from 'node:timers/promises'\nawait setTimeout(1)",
    ['no-restricted-imports', 'no-restricted-syntax'],
  ],
  ['src/links/c.ts', 'export const day = (ms: number) => new Date(ms)', []],
  ['src/http/a.ts', 'export const t = Date.now()', []],
  ['src/http/b.ts', 'export const e = process.env', ['no-restricted-properties']],
  [
    'src/http/c.ts',
    "import { env } from 'node:process'\nexport const e = env",
    ['no-restricted-imports'],
  ],
  ['src/cli/a.ts', 'export const e = process.env', ['no-restricted-properties']],
  ['src/config/load.ts', 'export const e = process.env', []],
  ['src/cli/b.ts', 'console.log(1)', ['no-console']],
  ['src/cli/terminal.ts', 'console.log(1)', []],
  [
    'src/identity/a.ts',
    'export const c = pki.verifyCertificateChain(s, [])',
    ['no-restricted-properties'],
  ],
  ['src/pki/a.ts', "import forge from 'node-forge'\nforge.pki.certificateFromPem('')", []],
  [
    'src/identity/b.ts',
    "import forge from 'node-forge'\nforge.pki.rsa()",
    ['no-restricted-imports'],
  ],
  ['src/http/d.ts', 'export const s = (x: unknown) => x as TLSSocket', ['no-restricted-syntax']],
  ['src/stores/a.ts', "new Worker(new URL('./w.ts', import.meta.url))", ['no-restricted-syntax']],
  ['src/links/d.ts', long, ['max-lines-per-function']],
  ['src/drivers/simulator/a.ts', long, []],
  ['test/links/a.test.ts', long, []],
]

test('the lint rules of this project catch what they forbid, where they forbid it', () => {
  const { stdout, stderr } = run(process.execPath, ['--input-type=module', '-e', program], {
    cwd: projectRoot,
    input: JSON.stringify(cases.map(([file, source]) => [inProject(file), source])),
  })

  expect(stderr).toBe('')
  const found = JSON.parse(stdout) as string[][]
  expect(cases.map(([file], index) => [file, found[index]?.sort()])).toEqual(
    cases.map(([file, , rules]) => [file, rules]),
  )
})
