import {
  closeSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { KmeError } from '../errors.ts'
import { messageOf } from '../errors.ts'
import type { Random } from '../ports/clock.ts'
import type { SecretFileOptions } from '../support/secret-file.ts'
import { wipe } from '../support/wipe.ts'
import type { Keks } from './kek-file.ts'
import { formatKeks, kekFileFailed, makeKek, readKekFile } from './kek-file.ts'

/** Names of the KEKs of a store whose KEK is being replaced. */
export interface KekReplacement {
  readonly formerKekId: string
  readonly kekId: string
}

export interface KekReplacementOptions extends SecretFileOptions {
  readonly random: Random
}

/**
 * Adds the next KEK to the file, as its second line, where it has none yet; durable when it
 * resolves. Either of the two may have wrapped what is in the store from now on.
 * @throws KmeError SEALING_FAILED, the file as it was
 */
export const beginKekReplacement = async (
  path: string,
  { random, ...options }: KekReplacementOptions,
): Promise<KekReplacement> => {
  const keks = await readKekFile(path, options)
  const [present] = keks
  const next = keks[1] ?? makeKek(random)
  try {
    if (keks[1] === undefined) replaceFile(path, [present, next])
    return { formerKekId: present.kekId, kekId: next.kekId }
  } finally {
    wipe(present.key, next.key)
  }
}

/**
 * Leaves the next KEK alone in the file, durable when it resolves. The store must be under it.
 * @throws KmeError SEALING_FAILED, the file as it was
 */
export const finishKekReplacement = async (
  path: string,
  { kekId }: KekReplacement,
  options: SecretFileOptions = {},
): Promise<void> => {
  const keks = await readKekFile(path, options)
  try {
    const next = keks[1] ?? keks[0]
    if (next.kekId !== kekId) {
      throw kekFileFailed(path, `holds KEK ${next.kekId} instead of ${kekId}: somebody changed it`)
    }
    if (keks[1] !== undefined) replaceFile(path, [next])
  } finally {
    wipe(...keks.map(({ key }) => key))
  }
}

/** Puts a whole new file in the place of the old one: whoever reads finds one of the two. */
const replaceFile = (path: string, keks: Keks): void => {
  const content = formatKeks(...keks)
  try {
    // The file itself, not a link to it.
    const target = realpathSync(path)
    // A fixed name: what a crash leaves behind goes with the next run.
    const temporary = join(dirname(target), `.${basename(target)}.next`)
    rmSync(temporary, { force: true })
    try {
      writeLike(target, temporary, content)
      renameSync(temporary, target)
    } catch (error) {
      rmSync(temporary, { force: true })
      throw error
    }
    syncDirectory(dirname(target))
  } catch (error) {
    throw notReplaced(path, error)
  } finally {
    wipe(content)
  }
}

/** For the KME's user, also where another one runs this. */
const writeLike = (model: string, path: string, content: Buffer): void => {
  const { uid, gid } = statSync(model)
  const file = openSync(path, 'wx', 0o600)
  try {
    const own = statSync(path)
    if (own.uid !== uid || own.gid !== gid) fchownSync(file, uid, gid)
    fchmodSync(file, 0o600)
    let written = 0
    while (written < content.length) written += writeSync(file, content, written)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

const syncDirectory = (path: string): void => {
  const directory = openSync(path, 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}

const notReplaced = (path: string, error: unknown): KmeError =>
  kekFileFailed(
    path,
    `cannot be replaced (${messageOf(error)}): where it is a credential or a mount, stop the KME, copy the file to a directory of its user, run this with a configuration that names the copy, and put the copy in its place`,
    error,
  )
