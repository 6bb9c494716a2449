import { dirname, resolve } from 'node:path'
import { crossCheck } from './cross-checks.ts'
import { freezeDeep } from './freeze.ts'
import { problemsOfIssues } from './issues.ts'
import { resolvePaths } from './paths.ts'
import type { OptionPath, Problem } from './problem.ts'
import { type Config, configSchema } from './schema.ts'
import { readYaml } from './yaml-source.ts'

/** A configuration's text, read and judged without looking at any other file. */
export interface ParsedConfig {
  /** There where the text fits the schema, also when `problems` has what does not fit together. */
  readonly config: Config | undefined
  readonly problems: readonly Problem[]
  readonly lineOf: (path: OptionPath) => number
}

export const parseText = (text: string, fileName: string): ParsedConfig => {
  const { value, problems, lineOf } = readYaml(text)
  if (problems.length > 0) return { config: undefined, problems, lineOf }
  const parsed = configSchema.safeParse(value)
  if (!parsed.success) {
    return { config: undefined, problems: problemsOfIssues(parsed.error.issues, value), lineOf }
  }
  const config = freezeDeep(resolvePaths(parsed.data, dirname(resolve(fileName))))
  return { config, problems: crossCheck(config), lineOf }
}
