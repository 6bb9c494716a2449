import { describe, expect, test } from '@jest/globals'
import { chmodSync, copyFileSync, mkdirSync, symlinkSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileTree, inProject, run, type Outcome } from './project.ts'

interface Staged {
  /** A jest report, or no file at all. */
  readonly report?: object
  /** The npm commands that fail, for instance `run check`. */
  readonly failing?: readonly string[]
}

const good = { success: true, numPassedTests: 7, numFailedTests: 0, numRuntimeErrorTestSuites: 0 }

/** Runs .ci/run with an npm that only writes the report and fails where it is told to. */
const runCi = ({ report, failing = [] }: Staged): Outcome & { readonly lastLine: string } => {
  using tree = fileTree({
    'a b/report.json': JSON.stringify(report ?? null),
    // No test installs anything.
    'tools/apt-get': '#!/bin/bash\nexit 0\n',
    'tools/npm': [
      '#!/bin/bash',
      'echo "npm $*"',
      'for arg; do case $arg in --outputFile=*) out=${arg#*=} ;; esac; done',
      report === undefined ? '' : '[ -z "$out" ] || cp report.json "$out"',
      ...failing.map((command) => `case "$*" in "${command}"*) exit 3 ;; esac`),
      'exit 0',
    ].join('\n'),
  })
  for (const tool of ['openssl', 'curl', 'strace', 'git', 'faketime', 'spin', 'gcc']) {
    symlinkSync('/bin/true', join(tree.path, 'tools', tool))
  }
  symlinkSync(process.execPath, join(tree.path, 'tools/node'))
  mkdirSync(join(tree.path, 'a b/.ci'))
  copyFileSync(inProject('.ci/run'), join(tree.path, 'a b/.ci/run'))
  for (const tool of ['npm', 'apt-get']) chmodSync(join(tree.path, 'tools', tool), 0o755)

  const outcome = run('bash', [join(tree.path, 'a b/.ci/run')], {
    env: { PATH: [join(tree.path, 'tools'), '/usr/bin', '/bin'].join(delimiter) },
  })
  return { ...outcome, lastLine: outcome.stdout.trimEnd().split('\n').at(-1) ?? '' }
}

describe('.ci/run', () => {
  test('installs, checks, searches the model, tests and tries the faults, in this order, and ends with the count', () => {
    const outcome = runCi({ report: good })

    expect(outcome).toMatchObject({ status: 0, lastLine: 'Tests: 7 passed, 0 failed' })
    expect(outcome.stdout.match(/^npm (ci|run check|run model|run test:faults|test)/gm)).toEqual([
      'npm ci',
      'npm run check',
      'npm run model',
      'npm test',
      'npm run test:faults',
    ])
  })

  test('fails with the count when a test fails', () => {
    const report = { ...good, success: false, numFailedTests: 2 }

    expect(runCi({ report, failing: ['test'] })).toMatchObject({
      status: 1,
      lastLine: 'Tests: 7 passed, 2 failed',
    })
  })

  test('counts a suite that could not run as failed', () => {
    const report = { ...good, success: false, numRuntimeErrorTestSuites: 1 }

    expect(runCi({ report })).toMatchObject({ status: 1, lastLine: 'Tests: 7 passed, 1 failed' })
  })

  test.each(['run check', 'run model', 'test', 'run test:faults'])(
    'fails when `npm %s` fails, whatever the tests say',
    (command) => {
      expect(runCi({ report: good, failing: [command] })).toMatchObject({
        status: 1,
        lastLine: 'Tests: 7 passed, 0 failed',
      })
    },
  )

  test('fails without testing what could not be installed, and still ends with the count', () => {
    const outcome = runCi({ report: good, failing: ['ci'] })

    expect(outcome).toMatchObject({ status: 1, lastLine: 'Tests: 0 passed, 0 failed' })
    expect(outcome.stdout).not.toContain('npm test')
  })

  test('fails when no test ran, and when there is no report', () => {
    expect(runCi({ report: { ...good, numPassedTests: 0 } })).toMatchObject({
      status: 1,
      lastLine: 'Tests: 0 passed, 0 failed',
    })
    expect(runCi({})).toMatchObject({ status: 1, lastLine: 'Tests: 0 passed, 0 failed' })
  })
})
