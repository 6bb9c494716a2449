/** `npm run check:docs`: every link and every npm command that a page names exists. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { docErrors } from './docs.ts'

const root = join(import.meta.dirname, '..')
const pages = [
  ...readdirSync(root),
  ...['docs', 'config', 'certs', 'deploy', 'bench'].flatMap((folder) => pagesUnder(folder)),
].filter((name) => name.endsWith('.md'))

function pagesUnder(folder: string): string[] {
  try {
    return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) =>
      join(folder, name),
    )
  } catch {
    return []
  }
}

const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>
}
const errors = pages.flatMap((page) => docErrors({ root, page, scripts: Object.keys(scripts) }))
for (const error of errors) process.stderr.write(`${error}\n`)
if (errors.length > 0) process.exitCode = 1
