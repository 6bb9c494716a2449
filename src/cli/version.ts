import { createRequire } from 'node:module'

/** The version of this program, from its package. */
export const programVersion = (): string =>
  (createRequire(import.meta.url)('../../package.json') as { version: string }).version
