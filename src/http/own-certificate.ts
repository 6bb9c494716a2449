import { X509Certificate, createPrivateKey } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { KmeError, isKmeError } from '../errors.ts'
import { readRegularFile, readSecretFile } from '../support/secret-file.ts'
import { wipe } from '../support/wipe.ts'
import { FileWatch } from './file-watch.ts'

export interface OwnCertificateFiles {
  readonly certFile: string
  readonly keyFile: string
  /** See `readSecretFile`. */
  readonly credentialsDirectory?: string | undefined
}

export interface OwnCertificate {
  readonly cert: Buffer
  readonly key: Buffer
}

const checkTogether = (files: OwnCertificateFiles, { cert, key }: OwnCertificate): void => {
  try {
    if (new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) {
      createSecureContext({ cert, key })
      return
    }
  } catch (cause) {
    // The text of the cause is not repeated: it comes from a parser that has seen the key.
    const message = `${files.certFile} and ${files.keyFile}: cannot be used as certificate and private key`
    throw new KmeError('CONFIG_INVALID', message, { cause })
  }
  const message = `${files.keyFile}: is not the private key of the certificate in ${files.certFile}`
  throw new KmeError('CONFIG_INVALID', message)
}

/** The certificate and private key of a listener, read again when the files change. */
export class OwnCertificateSource {
  readonly #files: OwnCertificateFiles
  readonly #watch: FileWatch
  #current: OwnCertificate

  private constructor(files: OwnCertificateFiles, watch: FileWatch, current: OwnCertificate) {
    this.#files = files
    this.#watch = watch
    this.#current = current
  }

  /** @throws KmeError CONFIG_INVALID */
  static async open(files: OwnCertificateFiles): Promise<OwnCertificateSource> {
    const watch = new FileWatch([files.certFile, files.keyFile])
    // Looked at before they are read: a change in between is noticed later, not missed.
    await watch.changed()
    return new OwnCertificateSource(files, watch, await readPair(files))
  }

  get current(): OwnCertificate {
    return this.#current
  }

  /**
   * Whether there is a new certificate. What cannot be used leaves the present one in place.
   * @throws KmeError CONFIG_INVALID once per change of the files
   */
  async refresh(): Promise<boolean> {
    if (!(await this.#watch.changed())) return false
    this.#current = await readPair(this.#files)
    return true
  }
}

const readPair = async (files: OwnCertificateFiles): Promise<OwnCertificate> => {
  const cert = await readRegularFile(files.certFile)
  const key = await readSecretFile(files.keyFile, {
    credentialsDirectory: files.credentialsDirectory,
  })
  try {
    checkTogether(files, { cert, key })
    return { cert, key }
  } catch (error) {
    wipe(key)
    throw isKmeError(error) ? error : new KmeError('CONFIG_INVALID', files.certFile)
  }
}
