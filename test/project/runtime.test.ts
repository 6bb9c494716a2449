import { describe, expect, test } from '@jest/globals'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { delimiter, join } from 'node:path'
import { runtimeRefusal, runtimeWarning } from '../../src/cli/runtime.ts'
import { fileTree, inProject, run } from './project.ts'

const oldNodeLine = (version: string): string =>
  `keyspring needs Node 24 or newer, this is ${version}: install a newer Node, or start it with npm in a clone`

/** A preload that lets this runtime pass for another version. */
const pretending = (version: string): string[] => [
  '--import',
  `data:text/javascript,Object.defineProperty(process.versions,'node',{value:'${version}'})`,
]

/** Nodes older than 24 that this machine has. */
const oldNodes = (process.env['PATH'] ?? '')
  .split(delimiter)
  .map((folder) => join(folder, 'node'))
  .filter((node) => {
    const { status, stdout } = run(node, ['-p', 'process.versions.node'])
    return status === 0 && Number.parseInt(stdout, 10) < 24
  })

/** What is published: the launcher, and an entry point that tells that it was reached. */
const publishedTree = (): Disposable & { path: string } => {
  const runtime = readFileSync(inProject('src/cli/runtime.ts'), 'utf8')
  const tree = fileTree({
    'package.json': '{ "type": "module" }',
    'dist/cli/runtime.js': stripTypeScriptTypes(runtime),
    'dist/cli/native.js': "process.stdout.write('native ')\n",
    'dist/cli/main.js':
      "import './runtime.js'\nimport './native.js'\nprocess.stdout.write('main')\n",
  })
  mkdirSync(join(tree.path, 'bin'))
  writeFileSync(
    join(tree.path, 'bin/keyspring.js'),
    readFileSync(inProject('bin/keyspring.js'), 'utf8'),
  )
  return tree
}

describe('runtime', () => {
  test.each(['0.12.18', '20.20.2', '22.23.4', '23.11.1'])(
    'Node %s is refused in one line',
    (version) => {
      expect(runtimeRefusal(version)).toBe(oldNodeLine(version))
    },
  )

  test.each(['24.0.0', '24.21.0', '26.12.1', '100.0.0'])('Node %s is not refused', (version) => {
    expect(runtimeRefusal(version)).toBeUndefined()
  })

  test.each([
    ['24.9.0', '24.22.1'],
    ['24.22.0', '24.22.1'],
    ['25.9.0', '26.12.1'],
    ['26.12.0', '26.12.1'],
  ])('Node %s is warned about and told of %s', (version, fixed) => {
    expect(runtimeWarning(version)).toBe(
      `Node ${version} carries a Brotli decoder with CVE-2026-111497: update to ${fixed} or newer`,
    )
  })

  test.each(['24.22.1', '24.100.0', '26.12.1', '26.13.0', '27.0.0'])(
    'Node %s is not warned about',
    (version) => {
      expect(runtimeWarning(version)).toBeUndefined()
    },
  )

  test.each(['bin/keyspring.js', 'dist/cli/main.js'])(
    '%s under an old version ends with 2 and one line, before anything else is evaluated',
    (entry) => {
      using tree = publishedTree()

      const outcome = run(process.execPath, [...pretending('20.20.2'), entry], { cwd: tree.path })

      expect(outcome).toMatchObject({
        status: 2,
        stdout: '',
        stderr: `${oldNodeLine('20.20.2')}\n`,
      })
    },
  )

  test('each older Node that this machine has is refused in the same way', () => {
    using tree = publishedTree()
    for (const node of oldNodes) {
      for (const entry of ['bin/keyspring.js', 'dist/cli/main.js']) {
        const { status, stdout, stderr } = run(node, [entry], { cwd: tree.path })
        expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
        expect(stderr).toMatch(/^keyspring needs Node 24 or newer, this is [\d.]+: .+\n$/)
      }
    }
  })

  test('a sound runtime goes on to the command', () => {
    using tree = publishedTree()

    const outcome = run(process.execPath, ['bin/keyspring.js'], { cwd: tree.path })

    expect(outcome).toMatchObject({ status: 0, stdout: 'native main', stderr: '' })
  })

  test('the launcher of a clone runs the sources, not what was built from older ones', () => {
    using tree = publishedTree()
    mkdirSync(join(tree.path, 'src/cli'), { recursive: true })
    writeFileSync(join(tree.path, 'src/cli/main.ts'), "process.stdout.write('source' as string)\n")

    const outcome = run(process.execPath, ['bin/keyspring.js'], { cwd: tree.path })

    expect(outcome).toMatchObject({ status: 0, stdout: 'source' })
  })
})
