import { accessSync, closeSync, constants, openSync, readSync, statSync } from 'node:fs'
import type { Stats } from 'node:fs'
import { dirname } from 'node:path'
import { KmeError, messageOf } from '../../errors.ts'

/** 'KSpr': what `file` and we tell a store of Keyspring by. */
export const APPLICATION_ID = 0x4b537072
/** Where SQLite keeps it in the file's header. */
const APPLICATION_ID_OFFSET = 68

const GROUP_OR_OTHERS = 0o077
const WRITE_FOR_GROUP_OR_OTHERS = 0o022
const STICKY = 0o1000

const failed = (path: string, what: string, cause?: unknown): KmeError =>
  new KmeError('STORE_FAILED', `store ${path}: ${what}`, { cause })

const codeOf = (error: unknown): unknown =>
  error instanceof Error && 'code' in error ? error.code : undefined

const statOf = (path: string): Stats | undefined => {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch (error) {
    throw failed(path, `cannot be reached: ${messageOf(error)}`, error)
  }
}

const assertDirectory = (path: string): void => {
  const directory = dirname(path)
  const stat = statOf(directory)
  if (stat?.isDirectory() !== true) {
    throw failed(path, `the directory ${directory} does not exist; "keyspring store init" makes it`)
  }
  // Whoever writes the directory can put another file in the store's place.
  if ((stat.mode & WRITE_FOR_GROUP_OR_OTHERS) !== 0 && (stat.mode & STICKY) === 0) {
    throw failed(path, `others can write the directory ${directory}; run "chmod go-w ${directory}"`)
  }
}

const assertUsable = (path: string, stat: Stats): void => {
  if (stat.isDirectory()) throw failed(path, 'is a directory; name a file')
  if (!stat.isFile()) throw failed(path, 'is no regular file')
  if ((stat.mode & GROUP_OR_OTHERS) !== 0) {
    throw failed(path, `others have access to it; run "chmod 600 ${path}"`)
  }
  // Not by opening it: closing a second descriptor would give up the locks of a store that this
  // process already has open on the file (POSIX).
  try {
    accessSync(path, constants.R_OK | constants.W_OK)
  } catch (error) {
    throw failed(path, 'cannot be read and written by this user; correct its owner and mode', error)
  }
}

const create = (path: string): void => {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return
    throw failed(path, `cannot be made: ${messageOf(error)}`, error)
  }
}

/**
 * Makes sure that a file lies at `path` (an empty one, mode 0600, where there was none: files that
 * SQLite puts beside it take over its mode) and that nobody else has access to it.
 * @throws KmeError STORE_FAILED naming what is wrong and what to do
 */
export const prepareStoreFile = (path: string): void => {
  assertDirectory(path)
  const stat = statOf(path)
  if (stat === undefined) create(path)
  else assertUsable(path, stat)
}

/** The ID in the header of a database file, or null where there is no such file; it is not opened as a database. */
export const applicationIdOf = (path: string): number | null => {
  if (statOf(path)?.isFile() !== true) return null
  try {
    const file = openSync(path, 'r')
    try {
      const id = Buffer.alloc(4)
      readSync(file, id, 0, id.length, APPLICATION_ID_OFFSET)
      return id.readUInt32BE()
    } finally {
      closeSync(file)
    }
  } catch (error) {
    throw failed(path, `cannot be read: ${messageOf(error)}`, error)
  }
}

/**
 * Whether a store of Keyspring lies at `path`, without opening it as a database. Not for a process
 * that has it open: closing the file here would give up its locks.
 */
export const isStoreFile = (path: string): boolean => applicationIdOf(path) === APPLICATION_ID
