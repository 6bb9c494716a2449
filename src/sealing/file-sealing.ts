import { createCipheriv, createDecipheriv } from 'node:crypto'
import { KmeError } from '../errors.ts'
import type { Kek, Keks } from './kek-file.ts'
import { readKekFile } from './kek-file.ts'
import type { Random } from '../ports/clock.ts'
import type { Sealing } from '../ports/sealing.ts'
import type { SecretFileOptions } from '../support/secret-file.ts'
import { wipe } from '../support/wipe.ts'

const ALGORITHM = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16
const DATA_KEY_BYTES = 32
const WRAPPED_BYTES = NONCE_BYTES + DATA_KEY_BYTES + TAG_BYTES

/**
 * Sealing under the KEK of a file, the newest where it holds two: AES-256-GCM with a random 96-bit
 * nonce (a few wraps per process life, so nonces stay apart by far), bound to the KEK's name and
 * the context.
 * Wrapped form: nonce | ciphertext | tag.
 */
class FileSealing implements Sealing {
  readonly #keks: Keks
  readonly #newest: Kek
  readonly #random: Random
  #closed = false

  /** Takes ownership of the KEKs. */
  constructor(keks: Keks, random: Random) {
    this.#keks = keks
    this.#newest = keks[1] ?? keks[0]
    this.#random = random
  }

  get kekId(): string {
    return this.#newest.kekId
  }

  get kekIds(): readonly string[] {
    return this.#keks.map(({ kekId }) => kekId)
  }

  async wrap(dataKey: Buffer, context: string): Promise<Buffer> {
    if (dataKey.length !== DATA_KEY_BYTES) throw new TypeError('a data key has 32 bytes')
    this.#assertOpen()
    const { kekId, key } = this.#newest
    const nonce = this.#random.bytes(NONCE_BYTES)
    const cipher = createCipheriv(ALGORITHM, key, nonce).setAAD(bind(kekId, context))
    return Buffer.concat([nonce, cipher.update(dataKey), cipher.final(), cipher.getAuthTag()])
  }

  async unwrap(kekId: string, wrapped: Buffer, context: string): Promise<Buffer> {
    this.#assertOpen()
    const kek = this.#keks.find((one) => one.kekId === kekId)
    if (kek === undefined || wrapped.length !== WRAPPED_BYTES) throw refusal(kekId, context)
    const nonce = wrapped.subarray(0, NONCE_BYTES)
    const tagStart = WRAPPED_BYTES - TAG_BYTES
    const decipher = createDecipheriv(ALGORITHM, kek.key, nonce, { authTagLength: TAG_BYTES })
      .setAAD(bind(kekId, context))
      .setAuthTag(wrapped.subarray(tagStart))
    const dataKey = decipher.update(wrapped.subarray(NONCE_BYTES, tagStart))
    try {
      decipher.final()
    } catch (error) {
      wipe(dataKey)
      throw refusal(kekId, context, error)
    }
    return dataKey
  }

  close(): void {
    this.#closed = true
    wipe(...this.#keks.map(({ key }) => key))
  }

  #assertOpen(): void {
    // A wiped key would still encrypt: under zeros.
    if (this.#closed) throw new TypeError('sealing is closed')
  }
}

const bind = (kekId: string, context: string): Buffer =>
  Buffer.from(`keyspring data key\0${kekId}\0${context}`, 'utf8')

const refusal = (kekId: string, context: string, cause?: unknown): KmeError =>
  new KmeError(
    'SEALING_FAILED',
    `KEK ${kekId} does not open ${context}: use the KEK file that was made with this store; if it is that one, the store is damaged: restore it from its backup`,
    { cause },
  )

export interface FileSealingOptions extends SecretFileOptions {
  readonly random: Random
}

/**
 * Reads the KEK file and seals with it until `close`.
 * @throws KmeError SEALING_FAILED where the file cannot be used
 */
export const openFileSealing = async (
  path: string,
  options: FileSealingOptions,
): Promise<Sealing> => new FileSealing(await readKekFile(path, options), options.random)
