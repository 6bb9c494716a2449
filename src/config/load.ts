import { isKmeError } from '../errors.ts'
import { readRegularFile } from '../support/secret-file.ts'
import { type FileCheckOptions, type FileFindings, checkFiles } from './files.ts'
import { parseText } from './parse.ts'
import { configError, fileError } from './problem.ts'
import type { Config } from './schema.ts'

/** The one place that reads the environment. */

const MAX_CONFIG_BYTES = 1_048_576

export interface LoadOptions extends FileCheckOptions {
  /** Instead of that of the environment, CREDENTIALS_DIRECTORY. */
  readonly credentialsDirectory?: string | undefined
}

/** A configuration that can be used, with what was seen of its files: certificates, own and CAs, and what is missing. */
export interface ExaminedConfig extends FileFindings {
  readonly config: Config
}

/** Where systemd keeps the credentials of this service, if it does: see `readSecretFile`. */
export const credentialsDirectory = (): string | undefined => process.env['CREDENTIALS_DIRECTORY']

const readText = async (fileName: string): Promise<string> => {
  try {
    const bytes = await readRegularFile(fileName, MAX_CONFIG_BYTES)
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes)
  } catch (error) {
    if (isKmeError(error)) throw error
    throw fileError(fileName, 'is not UTF-8 text', error)
  }
}

/** Like `loadConfig`, and tells what it saw of the files. */
export const examineConfig = async (
  fileName: string,
  options: LoadOptions = {},
): Promise<ExaminedConfig> => {
  const { config, problems, lineOf } = parseText(await readText(fileName), fileName)
  if (config === undefined) throw configError(fileName, problems, lineOf)
  const files = await checkFiles(config, {
    ...options,
    credentialsDirectory: options.credentialsDirectory ?? credentialsDirectory(),
  })
  const all = [...problems, ...files.problems]
  if (all.length > 0) throw configError(fileName, all, lineOf)
  return { config, certificates: files.certificates, missing: files.missing }
}

/**
 * Reads a configuration file and checks it and every file that it names.
 * @throws KmeError CONFIG_INVALID: one line per problem, `FILE:LINE: OPTION: what is wrong`; `details` has the same in parts
 */
export const loadConfig = async (fileName: string, options: LoadOptions = {}): Promise<Config> =>
  (await examineConfig(fileName, options)).config

/**
 * Reads a configuration's text alone: the files that it names are not looked at. Relative paths
 * start at the folder of `fileName`.
 * @throws KmeError CONFIG_INVALID as `loadConfig`
 */
export const parseConfig = (text: string, fileName: string): Config => {
  const { config, problems, lineOf } = parseText(text, fileName)
  if (config === undefined || problems.length > 0) throw configError(fileName, problems, lineOf)
  return config
}
