import { describe, expect, test } from '@jest/globals'
import { readFileSync, statSync } from 'node:fs'
import { inProject, projectRoot, run } from './project.ts'

interface Lockfile {
  readonly packages: Readonly<
    Record<
      string,
      { readonly resolved?: string; readonly integrity?: string; readonly link?: boolean }
    >
  >
}

/** What is tracked, and what the next commit could add. */
const repositoryFiles = (): string[] => {
  // The clone may belong to another user than the one who tests it.
  const listing = [
    '-c',
    'safe.directory=*',
    'ls-files',
    '-z',
    '--cached',
    '--others',
    '--exclude-standard',
  ]
  const { status, stdout } = run('git', listing, { cwd: projectRoot })
  expect(status).toBe(0)
  return stdout.split('\0').filter((name) => name !== '')
}

const isFile = (name: string): boolean =>
  statSync(inProject(name), { throwIfNoEntry: false })?.isFile() ?? false

describe('repository', () => {
  test('the lockfile names no place to download from', () => {
    const text = readFileSync(inProject('package-lock.json'), 'utf8')
    const { packages } = JSON.parse(text) as Lockfile

    const resolved = Object.entries(packages).filter(([, { resolved }]) => resolved !== undefined)

    expect(resolved).toEqual([])
    expect(text).not.toMatch(/https?:\/\/[^"]*\.tgz/)
  })

  test('the lockfile pins the content of every package', () => {
    const { packages } = JSON.parse(
      readFileSync(inProject('package-lock.json'), 'utf8'),
    ) as Lockfile

    const unpinned = Object.entries(packages)
      .filter(([name, { integrity }]) => name !== '' && integrity === undefined)
      .map(([name]) => name)

    expect(unpinned).toEqual([])
  })

  test('no package may run code at install', () => {
    expect(readFileSync(inProject('.npmrc'), 'utf8')).toMatch(/^ignore-scripts=true$/m)
  })

  test('no private key is tracked', () => {
    const marker = /-----BEGIN (\w+ )*PRIVATE KEY-----\s+[\w+/=]{16}/

    const files = repositoryFiles().filter(isFile)
    const withKeys = files.filter((name) => marker.test(readFileSync(inProject(name), 'latin1')))

    expect(files).toContain('package.json')
    expect(withKeys).toEqual([])
    expect(files.filter((name) => /\.(key|pem|p12|pfx|kek|db)$/.test(name))).toEqual([])
  })
})
