import type { X509Certificate } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { isKmeError, messageOf } from '../errors.ts'
import { type SecretFileOptions, isMissingFile, readSecretFile } from '../support/secret-file.ts'
import { wipe } from '../support/wipe.ts'
import {
  type CertificateFile,
  checkCrl,
  checkPrivateKey,
  readCaBundle,
  readOwnCertificate,
} from './certificates.ts'
import { type OptionPath, type Problem, formatPath } from './problem.ts'
import type { CaConfig, Config, DeviceConfig } from './schema.ts'

export interface FileCheckOptions extends SecretFileOptions {
  /** Whether the key-encryption key must be there already; `store init` makes it. */
  readonly requireKek?: boolean
}

/** A certificate that the configuration names, for what an operator may want to know of it. */
export interface CertificateFact {
  readonly option: string
  readonly file: string
  readonly subject: string
  readonly validFrom: Date
  readonly validTo: Date
}

/** What a configuration names that is not there, and need not be yet: one line each, with the option. */
export interface FileFindings {
  readonly certificates: readonly CertificateFact[]
  readonly missing: readonly string[]
}

const STORE_INIT = '"keyspring store init" makes it'

/** What cannot be looked at counts as there: whoever opens it says why it cannot. */
const isThere = async (path: string): Promise<boolean> => {
  try {
    await stat(path)
    return true
  } catch (error) {
    return !(typeof error === 'object' && error && 'code' in error && error.code === 'ENOENT')
  }
}

const LISTENERS = ['sae', 'peer', 'admin'] as const

/** Reads every file that a configuration names and notes what is wrong with it, and which certificates it met. */
class FileChecks {
  readonly problems: Problem[] = []
  readonly certificates: CertificateFact[] = []
  readonly missing: string[] = []
  readonly #options: FileCheckOptions

  constructor(options: FileCheckOptions) {
    this.#options = options
  }

  async listener(name: (typeof LISTENERS)[number], config: Config): Promise<void> {
    const listener = config.listeners[name]
    if (listener === undefined) return
    const at = ['listeners', name]
    const own = await this.#note([...at, 'certFile'], listener.certFile, (file) =>
      readOwnCertificate(file, name === 'peer'),
    )
    await this.#try([...at, 'keyFile'], () => checkPrivateKey(listener.keyFile, own, this.#options))
    for (const [index, ca] of listener.cas.entries()) await this.#ca([...at, 'cas', index], ca)
  }

  async kek(file: string): Promise<void> {
    await this.#try(['store', 'kekFile'], async () => {
      try {
        wipe(await readSecretFile(file, this.#options))
      } catch (error) {
        if (this.#options.requireKek === true || !isMissingFile(error)) throw error
        this.missing.push(`store.kekFile: ${file} is not there yet: ${STORE_INIT}`)
      }
    })
  }

  async store(path: string): Promise<void> {
    if (await isThere(path)) return
    this.missing.push(`store.path: ${path} is not there yet: ${STORE_INIT}`)
  }

  /** The driver reads them when it opens: the secret of a simulated device, the folder of one with files. */
  async device(path: OptionPath, device: DeviceConfig): Promise<void> {
    if (device.driver !== 'simulator') {
      const { directory } = device.options
      if (await isThere(directory)) return
      const option = formatPath([...path, 'options', 'directory'])
      this.missing.push(`${option}: ${directory} is not there yet: the device needs it`)
      return
    }
    const { secretFile } = device.options
    if (secretFile === undefined) return
    await this.#try([...path, 'options', 'secretFile'], async () => {
      wipe(await readSecretFile(secretFile, this.#options))
    })
  }

  async #ca(at: OptionPath, ca: CaConfig): Promise<void> {
    for (const [index, file] of ca.files.entries()) {
      await this.#note([...at, 'files', index], file, readCaBundle)
    }
    const { crlFile } = ca
    if (crlFile !== undefined) await this.#try([...at, 'crlFile'], () => checkCrl(crlFile))
  }

  async #note(
    path: OptionPath,
    file: string,
    read: (file: string) => Promise<CertificateFile>,
  ): Promise<CertificateFile | undefined> {
    const found = await this.#try(path, () => read(file))
    found?.certificates.forEach((certificate) => {
      this.certificates.push(factOf(formatPath(path), file, certificate))
    })
    return found
  }

  async #try<T>(path: OptionPath, check: () => Promise<T>): Promise<T | undefined> {
    try {
      return await check()
    } catch (error) {
      if (!isKmeError(error)) throw error
      this.problems.push({ path, message: messageOf(error) })
      return undefined
    }
  }
}

const factOf = (option: string, file: string, certificate: X509Certificate): CertificateFact => ({
  option,
  file,
  subject: certificate.subject.replaceAll('\n', ', '),
  validFrom: certificate.validFromDate,
  validTo: certificate.validToDate,
})

/** Checks the files of a configuration whose paths are absolute. */
export const checkFiles = async (
  config: Config,
  options: FileCheckOptions,
): Promise<FileFindings & { readonly problems: readonly Problem[] }> => {
  const checks = new FileChecks(options)
  for (const name of LISTENERS) await checks.listener(name, config)
  if (config.store.type === 'sqlite') {
    await checks.kek(config.store.kekFile)
    await checks.store(config.store.path)
  }
  for (const [link, { devices }] of config.links.entries()) {
    for (const [index, device] of devices.entries()) {
      await checks.device(['links', link, 'devices', index], device)
    }
  }
  return checks
}
