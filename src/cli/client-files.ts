import { createSecureContext } from 'node:tls'
import type { Command } from 'commander'
import { readCertificates } from '../config/certificates.ts'
import { KmeError } from '../errors.ts'
import { readSecretFile } from '../support/secret-file.ts'
import { wipe } from '../support/wipe.ts'
import { inPlainWords } from './tls-words.ts'

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

const checkPair = (options: ClientFileOptions, { cert, key }: ClientFiles): void => {
  try {
    createSecureContext({ cert, key })
  } catch (error) {
    // The text of the error is not repeated: it comes from a parser that has seen the key.
    const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : null
    const reason =
      code === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH'
        ? `is not the private key of the certificate in ${options.cert}`
        : 'holds no PEM private key that can be read without a passphrase'
    throw new KmeError('CONFIG_INVALID', `${options.key}: ${reason}`, { cause: error })
  }
}

/**
 * Reads certificate and key for as long as `use` runs.
 * @throws KmeError CONFIG_INVALID, and what `use` threw, a failed connection in plain words
 */
export const withFiles = async <T>(
  options: ClientFileOptions,
  use: (files: ClientFiles) => Promise<T>,
): Promise<T> => {
  const { pem: cert } = await readCertificates(options.cert)
  const key = await readSecretFile(options.key)
  try {
    checkPair(options, { cert, key })
    return await use({ cert, key })
  } catch (error) {
    throw inPlainWords(error)
  } finally {
    wipe(key)
  }
}

/** @throws KmeError USAGE where the option is missing, CONFIG_INVALID */
export const readCa = async (ca: string | undefined): Promise<Buffer> => {
  if (ca === undefined) {
    throw new KmeError('USAGE', "--ca is missing: the CA of the KME's certificate, PEM")
  }
  return (await readCertificates(ca)).pem
}
