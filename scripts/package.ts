/**
 * `npm run package [-- FOLDER]`: packs what is published, into FOLDER (default: here).
 *
 * It packs a copy, because the published manifest differs: without the Node binaries that only a
 * clone needs, without what only a developer needs. The working tree is never touched.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const root = join(import.meta.dirname, '..')
const destination = resolve(process.argv[2] ?? '.')

interface Manifest {
  readonly files: readonly string[]
  readonly [field: string]: unknown
}

const publishedManifest = (manifest: Manifest): Manifest => {
  const ours = new Set([
    'private',
    'scripts',
    'devDependencies',
    'optionalDependencies',
    'overrides',
  ])
  const kept = Object.entries(manifest).filter(([field]) => !ours.has(field))
  return { ...Object.fromEntries(kept), files: manifest.files }
}

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest
if (!existsSync(join(root, 'dist/cli/main.js'))) {
  process.stderr.write('dist/cli/main.js is missing: run `npm run build` first\n')
  process.exit(1)
}

const staged = mkdtempSync(join(tmpdir(), 'keyspring-package-'))
try {
  for (const file of [...manifest.files, 'README.md', 'LICENSE']) {
    const from = join(root, file)
    if (existsSync(from)) cpSync(from, join(staged, file), { recursive: true })
  }
  const published = JSON.stringify(publishedManifest(manifest), null, 2)
  writeFileSync(join(staged, 'package.json'), `${published}\n`)
  const packed = spawnSync('npm', ['pack', '--pack-destination', destination], {
    cwd: staged,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  process.exitCode = packed.status ?? 1
} finally {
  rmSync(staged, { recursive: true, force: true })
}
