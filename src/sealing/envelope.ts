import { createCipheriv, createDecipheriv, createSecretKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { KmeError } from '../errors.ts'
import type { Random } from '../ports/clock.ts'
import type { Sealing } from '../ports/sealing.ts'
import { wipe } from '../support/wipe.ts'

const ALGORITHM = 'aes-256-gcm'
const KEY_BYTES = 32
const ID_BYTES = 4
const COUNTER_BYTES = 6
const HEADER_BYTES = ID_BYTES + COUNTER_BYTES
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** What sealing adds to the length of what is sealed. */
export const SEAL_OVERHEAD_BYTES = HEADER_BYTES + TAG_BYTES

/** A data key as it lies in the store. */
export interface StoredDataKey {
  /** 1 to 2^32 - 1; given once in a store. */
  readonly id: number
  /** The KEK that it is wrapped under. */
  readonly kekId: string
  readonly wrapped: Buffer
}

export interface EnvelopeParts {
  readonly sealing: Sealing
  readonly random: Random
  /** Random name of the store: a data key of another store does not open here. */
  readonly storeId: string
  /** Data keys that rows still refer to. */
  readonly stored: readonly StoredDataKey[]
  /** Never used in this store before. */
  readonly newKeyId: number
}

/** Data keys to be made durable, all under the KEK that now wraps. */
export interface WrappedKeys {
  readonly newKey: StoredDataKey
  /** Stored ones that were under another KEK, wrapped anew. */
  readonly rewrapped: readonly StoredDataKey[]
}

/**
 * Seals rows under data keys, AES-256-GCM. Each process life, and each KEK in it, seals under a data
 * key of its own and counts nonces from 0, so no nonce repeats after a crash; earlier keys only
 * open. Synchronous once made, so that a transaction can seal and open in its midst.
 *
 * Sealed form: data key ID (4 bytes) | nonce counter (6) | ciphertext | tag (16). The nonce is the
 * counter, padded with zeros in front to 96 bits.
 */
export class Envelope {
  /** As key objects: with them a seal costs a third; the runtime clears their bytes when it frees them. */
  #keys: Map<number, KeyObject>
  #sealingKey: KeyObject | undefined
  #sealingKeyId: number
  #counter = 0

  private constructor(keys: Map<number, KeyObject>, sealingKey: KeyObject, sealingKeyId: number) {
    this.#keys = keys
    this.#sealingKey = sealingKey
    this.#sealingKeyId = sealingKeyId
  }

  /**
   * Unwraps the stored data keys and makes this life's. The caller must make `wrapped` durable
   * before anything sealed is.
   * @throws KmeError SEALING_FAILED where the KEK is not the one that a data key is wrapped under
   */
  static async create(parts: EnvelopeParts): Promise<{ envelope: Envelope; wrapped: WrappedKeys }> {
    const keys = new Map<number, KeyObject>()
    const rewrapped = await openStored(parts, keys)
    const { key, newKey } = await makeKey(parts)
    keys.set(newKey.id, key)
    return { envelope: new Envelope(keys, key, newKey.id), wrapped: { newKey, rewrapped } }
  }

  /** Opens and seals with the keys of `other`, which is of the same store, from now on; closes it. */
  adopt(other: Envelope): void {
    if (this.#sealingKey === undefined) throw new TypeError('the envelope is closed')
    this.#keys = new Map(other.#keys)
    this.#sealingKey = other.#sealingKey
    this.#sealingKeyId = other.#sealingKeyId
    this.#counter = other.#counter
    other.close()
  }

  /** The data key that is sealed under now: what a row refers to. */
  get sealingKeyId(): number {
    return this.#sealingKeyId
  }

  /** Seals `plaintext`, bound to `associatedData`, which says which row and version it is (public). */
  seal(plaintext: Buffer, associatedData: string): Buffer {
    if (this.#sealingKey === undefined) throw new TypeError('the envelope is closed')
    if (this.#counter >= 2 ** (8 * COUNTER_BYTES)) throw new TypeError('all nonces are used')
    const sealed = Buffer.allocUnsafe(HEADER_BYTES + plaintext.length + TAG_BYTES)
    sealed.writeUInt32BE(this.#sealingKeyId, 0)
    sealed.writeUIntBE(this.#counter, ID_BYTES, COUNTER_BYTES)
    this.#counter += 1
    const cipher = createCipheriv(ALGORITHM, this.#sealingKey, nonceOf(sealed))
    cipher.setAAD(Buffer.from(associatedData, 'utf8'))
    cipher.update(plaintext).copy(sealed, HEADER_BYTES)
    cipher.final()
    cipher.getAuthTag().copy(sealed, HEADER_BYTES + plaintext.length)
    return sealed
  }

  /**
   * Opens what `seal` returned. The caller wipes the result.
   * @throws KmeError STORE_CORRUPT where a bit differs, or it was sealed as another row or version
   */
  open(sealed: Buffer, associatedData: string): Buffer {
    if (this.#sealingKey === undefined) throw new TypeError('the envelope is closed')
    if (sealed.length < SEAL_OVERHEAD_BYTES) throw corrupt(associatedData)
    const key = this.#keys.get(sealed.readUInt32BE(0))
    if (key === undefined) throw corrupt(associatedData)
    const tagStart = sealed.length - TAG_BYTES
    const decipher = createDecipheriv(ALGORITHM, key, nonceOf(sealed), { authTagLength: TAG_BYTES })
    decipher.setAAD(Buffer.from(associatedData, 'utf8')).setAuthTag(sealed.subarray(tagStart))
    const plaintext = decipher.update(sealed.subarray(HEADER_BYTES, tagStart))
    try {
      decipher.final()
    } catch (error) {
      // Not yet proven: garbage must not be taken for key material.
      wipe(plaintext)
      throw corrupt(associatedData, error)
    }
    return plaintext
  }

  /** Lets go of all data keys; nothing can be sealed or opened any more. */
  close(): void {
    this.#keys.clear()
    this.#sealingKey = undefined
  }
}

const keyContext = (storeId: string, id: number): string => `data key ${id} of store ${storeId}`

/** Puts the stored data keys into `keys`. Returns those that were under a former KEK, wrapped anew. */
const openStored = async (
  { sealing, storeId, stored }: EnvelopeParts,
  keys: Map<number, KeyObject>,
): Promise<readonly StoredDataKey[]> => {
  const rewrapped: StoredDataKey[] = []
  for (const one of stored) {
    assertKnownKek(sealing, one)
    const context = keyContext(storeId, one.id)
    const bytes = await sealing.unwrap(one.kekId, one.wrapped, context)
    try {
      keys.set(one.id, createSecretKey(bytes))
      if (one.kekId === sealing.kekId) continue
      const wrapped = await sealing.wrap(bytes, context)
      rewrapped.push({ id: one.id, kekId: sealing.kekId, wrapped })
    } finally {
      wipe(bytes)
    }
  }
  return rewrapped
}

const makeKey = async ({
  sealing,
  random,
  storeId,
  newKeyId: id,
}: EnvelopeParts): Promise<{ key: KeyObject; newKey: StoredDataKey }> => {
  if (!Number.isInteger(id) || id < 1 || id > 0xffffffff) {
    throw new TypeError('a data key ID has 32 bits')
  }
  const bytes = random.bytes(KEY_BYTES)
  try {
    const wrapped = await sealing.wrap(bytes, keyContext(storeId, id))
    return { key: createSecretKey(bytes), newKey: { id, kekId: sealing.kekId, wrapped } }
  } finally {
    wipe(bytes)
  }
}

const assertKnownKek = (sealing: Sealing, stored: StoredDataKey): void => {
  if (sealing.kekIds.includes(stored.kekId)) return
  throw new KmeError(
    'SEALING_FAILED',
    `data key ${stored.id} of the store is wrapped under KEK ${stored.kekId}, but the KEK file holds ${sealing.kekIds.join(' and ')}: use the KEK file that was made with this store`,
  )
}

const nonceOf = (sealed: Buffer): Buffer => {
  const nonce = Buffer.alloc(NONCE_BYTES)
  sealed.copy(nonce, NONCE_BYTES - COUNTER_BYTES, ID_BYTES, HEADER_BYTES)
  return nonce
}

const corrupt = (associatedData: string, cause?: unknown): KmeError =>
  new KmeError(
    'STORE_CORRUPT',
    `the store does not open the sealed row ${associatedData}: the file was changed from outside or damaged`,
    { cause },
  )
