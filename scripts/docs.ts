import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'

export interface PageToCheck {
  readonly root: string
  /** The page, relative to `root`. */
  readonly page: string
  /** The scripts that package.json has. */
  readonly scripts: readonly string[]
}

/** npm commands that need no script. */
const BUILT_IN = new Set(['ci', 'install', 'pack', 'view', 'ls', 'exec', 'config', 'audit'])

/** What is wrong with one page, one line each: dead relative links and anchors, npm commands that package.json lacks. */
export const docErrors = ({ root, page, scripts }: PageToCheck): string[] => {
  const text = readFileSync(join(root, page), 'utf8')
  return [
    ...linksOf(text).flatMap((link) => linkError(root, page, link)),
    ...npmCommandsOf(text).flatMap((command) =>
      scripts.includes(command) || BUILT_IN.has(command)
        ? []
        : [`${page}: \`npm ${command}\` is not in package.json`],
    ),
  ]
}

const withoutCode = (text: string): string =>
  text.replace(/^(```|~~~)[\s\S]*?^\1/gm, '').replace(/`[^`\n]*`/g, '')

const linksOf = (text: string): string[] => {
  const prose = withoutCode(text)
  const inline = prose.matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g)
  const reference = prose.matchAll(/^\s{0,3}\[[^\]]+\]:\s+<?([^\s>]+)/gm)
  return [...inline, ...reference].flatMap((match) => match[1] ?? [])
}

const linkError = (root: string, page: string, link: string): string[] => {
  if (/^[a-z][a-z0-9+.-]*:/i.test(link)) return []
  const [path = '', anchor] = link.split('#')
  const target = path === '' ? join(root, page) : resolve(root, dirname(page), decodeURI(path))
  if (relative(root, target).startsWith('..'))
    return [`${page}: ${link} leads out of the repository`]
  if (!existsSync(target)) return [`${page}: ${link} leads nowhere`]
  if (anchor === undefined || !target.endsWith('.md') || statSync(target).isDirectory()) return []
  return anchorsOf(readFileSync(target, 'utf8')).has(anchor)
    ? []
    : [`${page}: ${link} names no heading`]
}

/** Anchors as the usual forges make them from headings. */
const anchorsOf = (text: string): Set<string> => {
  const anchors = new Set<string>()
  const headings = text.replace(/^(```|~~~)[\s\S]*?^\1/gm, '').matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)
  for (const [, heading = ''] of headings) {
    const slug = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(/\s/g, '-')
    let anchor = slug
    for (let n = 1; anchors.has(anchor); n += 1) anchor = `${slug}-${n}`
    anchors.add(anchor)
  }
  return anchors
}

const npmCommandsOf = (text: string): string[] => {
  const run = [...text.matchAll(/\bnpm run ([a-z][\w:-]*)/g)]
  const short = [...text.matchAll(/\bnpm (?!run\b)([a-z][a-z-]*)/g)]
  const inCode = short.filter(({ index }) => isCode(text, index))
  return [...run, ...inCode].flatMap((match) => match[1] ?? [])
}

/** Prose may say "npm is"; a command stands in backticks or in a code block. */
const isCode = (text: string, index: number): boolean => {
  const lineStart = text.lastIndexOf('\n', index) + 1
  const ticksBefore = text.slice(lineStart, index).split('`').length - 1
  if (ticksBefore % 2 === 1) return true
  const fencesBefore = text.slice(0, lineStart).match(/^(```|~~~)/gm)?.length ?? 0
  return fencesBefore % 2 === 1 || /^ {4}/.test(text.slice(lineStart, lineStart + 4))
}
