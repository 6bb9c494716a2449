import { randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { KmeError, messageOf } from '../errors.ts'
import { wipe } from '../support/wipe.ts'
import { makeCertificates } from './certificates.ts'
import { scriptText } from './commands.ts'
import { kmeConfigText } from './kme-config.ts'
import { type DemoLayout, type DemoSite, sitesOf } from './layout.ts'
import type { DemoOptions } from './options.ts'
import { type Program, runCommand } from './program.ts'

const SECRET_BYTES = 32

const sizeOf = async (path: string): Promise<number> =>
  (await stat(path).catch(() => undefined))?.size ?? 0

/** Whole or not there, whenever the demo is stopped. */
const replace = async (file: string, content: string | Buffer, mode: number): Promise<void> => {
  const temporary = `${file}.new`
  await rm(temporary, { force: true })
  await writeFile(temporary, content, { mode, flush: true })
  await rename(temporary, file)
}

const makeSecret = async ({ secretFile }: DemoLayout): Promise<void> => {
  if ((await sizeOf(secretFile)) >= SECRET_BYTES) return
  const secret = randomBytes(SECRET_BYTES)
  try {
    await replace(secretFile, secret, 0o600)
  } finally {
    wipe(secret)
  }
}

const writeConfig = async (
  layout: DemoLayout,
  site: DemoSite,
  options: DemoOptions,
): Promise<void> => {
  const text = kmeConfigText(layout, site, options)
  const present = await readFile(site.configFile, 'utf8').catch(() => '')
  if (present !== text) await replace(site.configFile, text, 0o600)
}

/** Whether a store was made; one that is there is kept, with the keys in it. */
const makeStore = async (
  site: DemoSite,
  program: Program,
  signal: AbortSignal,
): Promise<boolean> => {
  const sizes = await Promise.all([sizeOf(site.storeFile), sizeOf(site.kekFile)])
  if (sizes.every((size) => size > 0)) return false
  await runCommand(program, ['store', 'init', '-c', site.configFile], signal)
  return true
}

const steps = async (
  layout: DemoLayout,
  options: DemoOptions,
  program: Program,
  signal: AbortSignal,
): Promise<readonly string[]> => {
  const sites = sitesOf(layout)
  for (const { folder } of sites) await mkdir(folder, { recursive: true, mode: 0o700 })
  const made = [...(await makeCertificates(layout))]
  await makeSecret(layout)
  for (const site of sites) await writeConfig(layout, site, options)
  await replace(layout.scriptFile, scriptText(layout), 0o600)
  const stores = await Promise.all(sites.map((site) => makeStore(site, program, signal)))
  if (stores.includes(true)) made.push('a store and its key-encryption key for each KME')
  return made
}

/**
 * Makes what is missing in the demo's folder and keeps what is there. Each step can be stopped and
 * done again. Returns what was made, in words.
 * @throws KmeError
 */
export const prepareDemo = async (
  layout: DemoLayout,
  options: DemoOptions,
  program: Program,
  signal: AbortSignal,
): Promise<readonly string[]> => {
  try {
    return await steps(layout, options, program, signal)
  } catch (error) {
    if (error instanceof KmeError) throw error
    throw new KmeError('USAGE', `${layout.dir} cannot hold the demo: ${messageOf(error)}`, {
      cause: error,
    })
  }
}
