import { createCipheriv, createDecipheriv } from 'node:crypto'
import { KmeError } from '../errors.ts'
import type { Kek } from './kek-file.ts'
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
 * Sealing under a KEK from a file: AES-256-GCM with a random 96-bit nonce (one wrap per process
 * life, so nonces stay apart by far), bound to the KEK's name and the context.
 * Wrapped form: nonce | ciphertext | tag.
 */
class FileSealing implements Sealing {
  readonly kekId: string
  readonly #key: Buffer
  readonly #random: Random
  #closed = false

  /** Takes ownership of the KEK. */
  constructor(kek: Kek, random: Random) {
    this.kekId = kek.kekId
    this.#key = kek.key
    this.#random = random
  }

  async wrap(dataKey: Buffer, context: string): Promise<Buffer> {
    if (dataKey.length !== DATA_KEY_BYTES) throw new TypeError('a data key has 32 bytes')
    this.#assertOpen()
    const nonce = this.#random.bytes(NONCE_BYTES)
    const cipher = createCipheriv(ALGORITHM, this.#key, nonce).setAAD(this.#bind(context))
    return Buffer.concat([nonce, cipher.update(dataKey), cipher.final(), cipher.getAuthTag()])
  }

  async unwrap(wrapped: Buffer, context: string): Promise<Buffer> {
    this.#assertOpen()
    if (wrapped.length !== WRAPPED_BYTES) throw this.#refusal(context)
    const nonce = wrapped.subarray(0, NONCE_BYTES)
    const tagStart = WRAPPED_BYTES - TAG_BYTES
    const decipher = createDecipheriv(ALGORITHM, this.#key, nonce, { authTagLength: TAG_BYTES })
      .setAAD(this.#bind(context))
      .setAuthTag(wrapped.subarray(tagStart))
    const dataKey = decipher.update(wrapped.subarray(NONCE_BYTES, tagStart))
    try {
      decipher.final()
    } catch (error) {
      wipe(dataKey)
      throw this.#refusal(context, error)
    }
    return dataKey
  }

  close(): void {
    this.#closed = true
    wipe(this.#key)
  }

  #bind(context: string): Buffer {
    return Buffer.from(`keyspring data key\0${this.kekId}\0${context}`, 'utf8')
  }

  #assertOpen(): void {
    // A wiped key would still encrypt: under zeros.
    if (this.#closed) throw new TypeError('sealing is closed')
  }

  #refusal(context: string, cause?: unknown): KmeError {
    return new KmeError(
      'SEALING_FAILED',
      `KEK ${this.kekId} does not open ${context}: use the KEK file that was made with this store`,
      { cause },
    )
  }
}

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
