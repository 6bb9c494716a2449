import { describe, expect, test } from '@jest/globals'
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileTree, inProject, projectRoot, run } from './project.ts'

interface Violation {
  readonly from: string
  readonly rule: { readonly name: string }
}

const violationsIn = (folder: string): string[] => {
  const { stdout, stderr } = run(
    process.execPath,
    [
      inProject('node_modules/dependency-cruiser/bin/dependency-cruise.mjs'),
      '--config',
      inProject('.dependency-cruiser.cjs'),
      '--output-type',
      'json',
      'src',
    ],
    { cwd: folder },
  )
  expect(stderr).toBe('')
  const { summary } = JSON.parse(stdout) as { summary: { violations: Violation[] } }
  return summary.violations.map(({ from, rule }) => `${from}: ${rule.name}`).sort()
}

const importing = (...modules: string[]): string =>
  modules.map((name) => `import '${name}'\n`).join('') + 'export {}\n'

/** One sound file per room, to be imported by the planted ones. */
const rooms = Object.fromEntries(
  [
    'kme.ts',
    'model/range.ts',
    'ports/clock.ts',
    'links/intake.ts',
    'delivery/get-key.ts',
    'stores/sqlite/store.ts',
    'stores/memory/store.ts',
    'drivers/simulator/driver.ts',
    'drivers/key-files/options.ts',
    'drivers/key-files/driver.ts',
    'etsi014/routes.ts',
    'etsi014/client.ts',
    'etsi014/messages.ts',
    'http/listener.ts',
    'admin/client.ts',
    'admin/routes.ts',
    'config/load.ts',
    'pki/issue.ts',
    'demo/run.ts',
    'cli/serve.ts',
    'identity/rules.ts',
  ].map((path) => [`src/${path}`, 'export {}\n']),
)

/** A file, what it imports, and the rules that this breaks. */
const planted: readonly (readonly [
  file: string,
  imports: readonly string[],
  rules: readonly string[],
])[] = [
  ['links/a.ts', ['../ports/clock.ts', '../model/range.ts'], []],
  ['links/b.ts', ['../stores/sqlite/store.ts'], ['links-sees-only-its-own']],
  ['links/c.ts', ['../delivery/get-key.ts'], ['links-sees-only-its-own']],
  ['links/d.ts', ['../config/load.ts'], ['links-sees-only-its-own']],
  ['links/e.ts', ['node:https'], ['domain-has-no-network-or-sql']],
  ['delivery/b.ts', ['../etsi014/routes.ts'], ['delivery-sees-only-its-own']],
  ['model/b.ts', ['../ports/clock.ts'], ['model-sees-only-its-own']],
  ['ports/b.ts', ['../links/intake.ts'], ['ports-sees-only-its-own']],
  ['stores/sqlite/b.ts', ['../memory/store.ts'], ['a-store-knows-no-other']],
  ['drivers/simulator/b.ts', ['../key-files/driver.ts'], ['a-driver-knows-no-other']],
  ['drivers/etsi014/a.ts', ['../../etsi014/client.ts', '../../etsi014/messages.ts'], []],
  ['drivers/etsi014/b.ts', ['../../etsi014/routes.ts'], ['drivers-sees-only-its-own']],
  ['etsi014/a.ts', ['../delivery/get-key.ts', '../identity/rules.ts'], []],
  ['http/b.ts', ['../etsi014/routes.ts'], ['http-sees-only-its-own']],
  ['config/a.ts', ['../drivers/key-files/options.ts'], []],
  ['config/b.ts', ['../drivers/key-files/driver.ts'], ['config-sees-only-its-own']],
  ['demo/b.ts', ['../kme.ts'], ['demo-sees-only-its-own']],
  ['cli/a.ts', ['../kme.ts', '../demo/run.ts', '../admin/client.ts'], []],
  ['cli/b.ts', ['../admin/routes.ts'], ['cli-sees-only-its-own']],
  ['kme/b.ts', ['../cli/serve.ts'], ['kme-is-not-a-tool']],
  ['model/ring.ts', ['./ring.ts'], ['no-cycle']],
  ['novelty/b.ts', ['../model/range.ts'], ['room-without-a-rule']],
  ['identity/b.ts', ['./gone.ts'], ['no-unresolvable']],
  ['http/c.ts', ['supertest'], ['src-runs-without-dev-packages']],
  ['http/d.ts', ['better-sqlite3'], ['sql-stays-in-stores']],
  ['http/e.ts', ['@peculiar/x509'], ['x509-is-made-and-read-in-two-rooms']],
  ['identity/c.ts', ['@peculiar/x509'], []],
  ['identity/d.ts', ['node-forge'], ['forge-stays-in-pki', 'src-runs-without-dev-packages']],
]

describe('layers', () => {
  test('src keeps the import rules', () => {
    expect(violationsIn(projectRoot)).toEqual([])
  })

  test('every planted import against the rules is caught, and no sound one', () => {
    const files = planted.map(([file, imports]) => [`src/${file}`, importing(...imports)])
    using tree = fileTree({ ...rooms, ...Object.fromEntries(files), 'package.json': manifest })
    symlinkSync(inProject('node_modules'), join(tree.path, 'node_modules'))

    const expected = planted.flatMap(([file, , rules]) =>
      rules.map((rule) => `src/${file}: ${rule}`),
    )

    expect(violationsIn(tree.path)).toEqual(expected.sort())
  })

  test('a type import is caught like any other', () => {
    using tree = fileTree({
      ...rooms,
      'package.json': manifest,
      'src/links/a.ts':
        "import type { Store } from '../stores/memory/store.ts'\nexport type S = Store\n",
    })

    expect(violationsIn(tree.path)).toEqual(['src/links/a.ts: links-sees-only-its-own'])
  })
})

const manifest = JSON.stringify({
  type: 'module',
  dependencies: { 'better-sqlite3': '*', '@peculiar/x509': '*' },
  devDependencies: { supertest: '*' },
})
