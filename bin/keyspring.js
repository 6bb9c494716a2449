#!/usr/bin/env node
// What every Node since 14 can read: an old one gets one line here, not a crash in a module further down.
import { existsSync } from 'node:fs'

const version = process.versions.node
if (Number.parseInt(version, 10) < 24) {
  process.stderr.write(
    `keyspring needs Node 24 or newer, this is ${version}: install a newer Node, or start it with npm in a clone\n`,
  )
  process.exit(2)
}

// A clone runs its sources, the package and the image carry only what was built from them.
const source = new URL('../src/cli/main.ts', import.meta.url)
await import(
  existsSync(source) ? source.href : new URL('../dist/cli/main.js', import.meta.url).href
)
