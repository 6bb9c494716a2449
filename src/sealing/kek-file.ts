import { closeSync, fchmodSync, fsyncSync, openSync, unlinkSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { decodeBase64, encodeBase64 } from './base64.ts'
import { KmeError, messageOf } from '../errors.ts'
import type { Random } from '../ports/clock.ts'
import type { SecretFileOptions } from '../support/secret-file.ts'
import { isMissingFile, readSecretFile } from '../support/secret-file.ts'
import { wipe } from '../support/wipe.ts'

/** A key-encryption key and its public name. */
export interface Kek {
  /** 16 hex digits, random: tells KEKs apart without saying anything of their bytes. */
  readonly kekId: string
  /** 32 bytes; whoever holds the Kek wipes it. */
  readonly key: Buffer
}

export const KEK_BYTES = 32
const FORMAT = 'keyspring-kek-1'
const LINE = /^keyspring-kek-1 ([0-9a-f]{16}) $/
const BASE64_CHARACTERS = Math.ceil(KEK_BYTES / 3) * 4
const LF = 0x0a

const failed = (path: string, what: string, cause?: unknown): KmeError =>
  new KmeError('SEALING_FAILED', `KEK file ${path}: ${what}`, { cause })

const writeWhole = (path: string, line: Buffer): void => {
  // 'wx' is O_EXCL: an existing KEK is never overwritten, whatever happens between check and write.
  const file = openSync(path, 'wx', 0o600)
  try {
    fchmodSync(file, 0o600)
    writeSync(file, line)
    fsyncSync(file)
  } catch (error) {
    // A part of a KEK is worse than none: it would be taken for the whole next time.
    unlinkSync(path)
    throw error
  } finally {
    closeSync(file)
  }
  const directory = openSync(dirname(path), 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}

/**
 * Makes a KEK file, mode 0600, durable when it returns. Never overwrites one.
 * @returns the new KEK's public name
 * @throws KmeError SEALING_FAILED where the file exists or cannot be written
 */
export const makeKekFile = (path: string, random: Random): string => {
  const kekId = random.bytes(8).toString('hex')
  const key = random.bytes(KEK_BYTES)
  const text = encodeBase64(key)
  const line = Buffer.concat([Buffer.from(`${FORMAT} ${kekId} `, 'latin1'), text, Buffer.of(LF)])
  try {
    writeWhole(path, line)
    return kekId
  } catch (error) {
    throw failed(path, `cannot be made: ${messageOf(error)}`, error)
  } finally {
    wipe(key, text, line)
  }
}

const parse = (path: string, content: Buffer): Kek => {
  const end = content.at(-1) === LF ? content.length - 1 : content.length
  const textStart = end - BASE64_CHARACTERS
  const match = LINE.exec(content.subarray(0, Math.max(textStart, 0)).toString('latin1'))
  const key = match === null ? null : decodeBase64(content.subarray(textStart, end))
  if (match?.[1] === undefined || key?.length !== KEK_BYTES) {
    wipe(key)
    const expected = `one line "${FORMAT} ID KEY", as "keyspring store init" writes it`
    throw failed(path, `is no KEK file (expected ${expected}): use the file made with this store`)
  }
  return { kekId: match[1], key }
}

/**
 * Reads a KEK file. It must be a regular file that group and others cannot read (but in the
 * service's credentials directory).
 * @throws KmeError SEALING_FAILED naming the file and what to do
 */
export const readKekFile = async (path: string, options: SecretFileOptions = {}): Promise<Kek> => {
  const content = await readSecretFile(path, options).catch((error: unknown) => {
    const hint = isMissingFile(error)
      ? '; "keyspring store init" makes it, or put it back from its backup'
      : ''
    throw new KmeError('SEALING_FAILED', `KEK file ${messageOf(error)}${hint}`, { cause: error })
  })
  try {
    return parse(path, content)
  } finally {
    wipe(content)
  }
}
