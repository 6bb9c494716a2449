import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'

const self = readFileSync(new URL(import.meta.url))

/** Jest transformer: removes the types as the runtime does, so that tests run exactly the code that `node file.ts` runs. */
export default {
  process(source) {
    // Types become blanks: lines and columns stay, no source map is needed.
    return { code: stripTypeScriptTypes(source, { mode: 'strip' }) }
  },
  getCacheKey(source, path, { configString }) {
    const hash = createHash('sha256')
    for (const part of [self, process.version, configString, path, source]) {
      hash.update(part).update('\0')
    }
    return hash.digest('hex').slice(0, 32)
  },
}
