import type { Command } from 'commander'
import { KmeError } from '../errors.ts'
import { readRegularFile, readSecretFile } from '../support/secret-file.ts'
import { wipe } from '../support/wipe.ts'

/** The options with which a client names itself and whom it trusts. */
export interface ClientFileOptions {
  readonly cert: string
  readonly key: string
  readonly ca?: string
}

export interface ClientFiles {
  readonly cert: Buffer
  readonly key: Buffer
}

/** Adds `--cert` and `--key`. `who` is whose they are. */
export const withClientFiles = (command: Command, who: string): Command =>
  command
    .requiredOption('--cert <file>', `certificate of the ${who}, PEM`)
    .requiredOption('--key <file>', `its private key, PEM, not readable by group or others`)

/** Reads certificate and key for as long as `use` runs. @throws KmeError CONFIG_INVALID */
export const withFiles = async <T>(
  options: ClientFileOptions,
  use: (files: ClientFiles) => Promise<T>,
): Promise<T> => {
  const cert = await readRegularFile(options.cert)
  const key = await readSecretFile(options.key)
  try {
    return await use({ cert, key })
  } finally {
    wipe(key)
  }
}

/** @throws KmeError USAGE where the option is missing, CONFIG_INVALID */
export const readCa = async (ca: string | undefined): Promise<Buffer> => {
  if (ca === undefined) {
    throw new KmeError('USAGE', "--ca is missing: the CA of the KME's certificate, PEM")
  }
  return readRegularFile(ca)
}
