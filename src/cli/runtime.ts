/**
 * The first import of every entry point: refuses a Node that Keyspring does not run on, before a
 * module that would crash there (better-sqlite3) is evaluated. It imports nothing itself.
 */

const OLDEST_MAJOR = 24

type Version = readonly [major: number, minor: number, patch: number]

/** Where the Brotli fix came in, for each release line that has it. */
const BROTLI_FIXED: readonly Version[] = [
  [24, 22, 1],
  [26, 12, 1],
]

const parse = (version: string): Version => {
  const [major, minor, patch] = version.split('.').map((part) => Number.parseInt(part, 10))
  return [major ?? 0, minor ?? 0, patch ?? 0]
}

const isOlder = (a: Version, b: Version): boolean => {
  if (a[0] !== b[0]) return a[0] < b[0]
  if (a[1] !== b[1]) return a[1] < b[1]
  return a[2] < b[2]
}

/** The line to refuse with, or undefined where Keyspring runs. `version` is `process.versions.node`. */
export const runtimeRefusal = (version: string): string | undefined =>
  parse(version)[0] >= OLDEST_MAJOR
    ? undefined
    : `keyspring needs Node ${OLDEST_MAJOR} or newer, this is ${version}: install a newer Node, or start it with npm in a clone`

/**
 * The line to warn with when the runtime's Brotli decoder has CVE-2026-111497 (remote code
 * execution through a compressed body), or undefined. Keyspring decompresses nothing, so this is a
 * reason to update, not to refuse.
 */
export const runtimeWarning = (version: string = process.versions.node): string | undefined => {
  const running = parse(version)
  // A line that never got the fix is measured against the next one that did.
  const fixed = BROTLI_FIXED.find(([major]) => major >= running[0])
  if (fixed === undefined || !isOlder(running, fixed)) return undefined
  return `Node ${version} carries a Brotli decoder with CVE-2026-111497: update to ${fixed.join('.')} or newer`
}

const refusal = runtimeRefusal(process.versions.node)
if (refusal !== undefined) {
  process.stderr.write(`${refusal}\n`)
  process.exit(2)
}
