import { expect, test } from '@jest/globals'
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileTree, inProject, run } from './project.ts'

test('the published package carries the launcher and the build, no second Node and nothing of a developer', () => {
  using tree = fileTree({
    'dist/cli/main.js': 'export {}\n',
    'src/cli/main.ts': 'export {}\n',
    'README.md': '# Keyspring\n',
  })
  for (const name of ['package.json', 'LICENSE'])
    copyFileSync(inProject(name), join(tree.path, name))
  for (const name of ['bin', 'scripts'])
    cpSync(inProject(name), join(tree.path, name), { recursive: true })
  mkdirSync(join(tree.path, 'out'))

  const packed = run(process.execPath, ['scripts/package.ts', 'out'], { cwd: tree.path })
  expect(packed.status).toBe(0)

  const [tarball = ''] = readdirSync(join(tree.path, 'out'))
  const list = run('tar', ['-tzf', join('out', tarball)], { cwd: tree.path }).stdout
  expect(list.trim().split('\n').sort()).toEqual([
    'package/LICENSE',
    'package/README.md',
    'package/bin/keyspring.js',
    'package/dist/cli/main.js',
    'package/package.json',
  ])

  const text = run('tar', ['-xzOf', join('out', tarball), 'package/package.json'], {
    cwd: tree.path,
  }).stdout
  const published = JSON.parse(text) as Record<string, unknown>
  const ours = JSON.parse(readFileSync(inProject('package.json'), 'utf8')) as Record<
    string,
    unknown
  >
  expect(text).not.toContain('node-linux')
  for (const field of [
    'optionalDependencies',
    'devDependencies',
    'scripts',
    'private',
    'overrides',
  ]) {
    expect(published).not.toHaveProperty(field)
  }
  for (const field of ['name', 'version', 'type', 'engines', 'bin', 'dependencies', 'license']) {
    expect(published[field]).toEqual(ours[field])
  }
  expect(readFileSync(join(tree.path, 'package.json'), 'utf8')).toContain('node-linux')
})

test('nothing is packed before it is built', () => {
  using tree = fileTree()
  copyFileSync(inProject('package.json'), join(tree.path, 'package.json'))
  cpSync(inProject('scripts'), join(tree.path, 'scripts'), { recursive: true })

  expect(run(process.execPath, ['scripts/package.ts'], { cwd: tree.path })).toMatchObject({
    status: 1,
    stderr: 'dist/cli/main.js is missing: run `npm run build` first\n',
  })
  expect(readdirSync(tree.path).sort()).toEqual(['package.json', 'scripts'])
})
