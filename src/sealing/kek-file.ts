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

/**
 * What a KEK file holds: the KEK of the store; while it is being replaced the next one too, on a
 * second line.
 */
export type Keks = readonly [present: Kek] | readonly [present: Kek, next: Kek]

export const KEK_BYTES = 32
const FORMAT = 'keyspring-kek-1'
const LINE = /^keyspring-kek-1 ([0-9a-f]{16}) $/
const BASE64_CHARACTERS = Math.ceil(KEK_BYTES / 3) * 4
const LF = 0x0a

export const kekFileFailed = (path: string, what: string, cause?: unknown): KmeError =>
  new KmeError('SEALING_FAILED', `KEK file ${path}: ${what}`, { cause })

/** A new one, with a new name. */
export const makeKek = (random: Random): Kek => ({
  kekId: random.bytes(8).toString('hex'),
  key: random.bytes(KEK_BYTES),
})

/** The text of a KEK file, as bytes; the caller wipes it. */
export const formatKeks = (...keks: Keks): Buffer => {
  const parts = keks.map(({ kekId, key }) => [
    Buffer.from(`${FORMAT} ${kekId} `, 'latin1'),
    encodeBase64(key),
    Buffer.of(LF),
  ])
  try {
    return Buffer.concat(parts.flat())
  } finally {
    wipe(...parts.flat())
  }
}

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
  const kek = makeKek(random)
  const line = formatKeks(kek)
  try {
    writeWhole(path, line)
    return kek.kekId
  } catch (error) {
    throw kekFileFailed(path, `cannot be made: ${messageOf(error)}`, error)
  } finally {
    wipe(kek.key, line)
  }
}

const parseLine = (line: Buffer): Kek | null => {
  const textStart = line.length - BASE64_CHARACTERS
  const match = LINE.exec(line.subarray(0, Math.max(textStart, 0)).toString('latin1'))
  const key = match === null ? null : decodeBase64(line.subarray(textStart))
  if (match?.[1] !== undefined && key?.length === KEK_BYTES) return { kekId: match[1], key }
  wipe(key)
  return null
}

/** The lines of a text, of which the last need not end in a line feed. */
const linesOf = (content: Buffer): readonly Buffer[] => {
  const end = content.at(-1) === LF ? content.length - 1 : content.length
  const cut = content.subarray(0, end).indexOf(LF)
  if (cut < 0) return [content.subarray(0, end)]
  return [content.subarray(0, cut), content.subarray(cut + 1, end)]
}

const parse = (path: string, content: Buffer): Keks => {
  const keks = linesOf(content).map(parseLine)
  const [present, next] = keks
  if (present && next === undefined) return [present]
  if (present && next && present.kekId !== next.kekId) return [present, next]
  wipe(...keks.map((kek) => kek?.key))
  const expected = `one line "${FORMAT} ID KEY", as "keyspring store init" writes it, or two while the KEK is being replaced`
  throw kekFileFailed(
    path,
    `is no KEK file (expected ${expected}): use the file made with this store`,
  )
}

/**
 * Reads a KEK file. It must be a regular file that group and others cannot read (but in the
 * service's credentials directory). Who gets the KEKs wipes them.
 * @throws KmeError SEALING_FAILED naming the file and what to do
 */
export const readKekFile = async (path: string, options: SecretFileOptions = {}): Promise<Keks> => {
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
