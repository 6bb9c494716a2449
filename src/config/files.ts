import type { X509Certificate } from 'node:crypto'
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
  readonly validTo: Date
}

const LISTENERS = ['sae', 'peer', 'admin'] as const

/** Reads every file that a configuration names and notes what is wrong with it, and which certificates it met. */
class FileChecks {
  readonly problems: Problem[] = []
  readonly certificates: CertificateFact[] = []
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
      }
    })
  }

  /** The secret that the ends of a simulated device share; the driver reads it when it opens. */
  async device(path: OptionPath, device: DeviceConfig): Promise<void> {
    if (device.driver !== 'simulator') return
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
  validTo: certificate.validToDate,
})

/** Checks the files of a configuration whose paths are absolute. */
export const checkFiles = async (
  config: Config,
  options: FileCheckOptions,
): Promise<{
  readonly problems: readonly Problem[]
  readonly certificates: readonly CertificateFact[]
}> => {
  const checks = new FileChecks(options)
  for (const name of LISTENERS) await checks.listener(name, config)
  if (config.store.type === 'sqlite') await checks.kek(config.store.kekFile)
  for (const [link, { devices }] of config.links.entries()) {
    for (const [index, device] of devices.entries()) {
      await checks.device(['links', link, 'devices', index], device)
    }
  }
  return checks
}
