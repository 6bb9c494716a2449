import { constants } from 'node:fs'
import { type FileHandle, open, realpath } from 'node:fs/promises'
import { relative, isAbsolute } from 'node:path'
import type { Stats } from 'node:fs'
import { KmeError } from '../errors.ts'
import { wipe } from './wipe.ts'

export interface SecretFileOptions {
  /**
   * The service's credentials directory under systemd: files below it may be group-readable, for
   * systemd hands them to the service's user by an access list and guards the directory.
   */
  readonly credentialsDirectory?: string | undefined
}

/** Keys and bundles of certificates are far smaller. */
const DEFAULT_MAX_BYTES = 1_048_576
const GROUP_AND_OTHERS = 0o077
const PERMISSION_BITS = 0o777

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  ENOTDIR: 'no such file',
  EACCES: 'not readable by the user that this runs as',
  EPERM: 'not readable by the user that this runs as',
  EISDIR: 'is a directory, not a file',
  ELOOP: 'a chain of symbolic links without end',
  ENXIO: 'is not a regular file',
}

const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : ''

/** Whether one of the functions here failed because there is no such file. */
export const isMissingFile = (error: unknown): boolean =>
  error instanceof KmeError && codeOf(error.cause) === 'ENOENT'

const unusable = (path: string, reason: string, cause?: unknown): KmeError =>
  new KmeError('CONFIG_INVALID', `${path}: ${reason}`, cause === undefined ? {} : { cause })

const failure = (path: string, error: unknown): KmeError =>
  error instanceof KmeError
    ? error
    : unusable(path, REASONS[codeOf(error)] ?? `cannot be read (${codeOf(error)})`, error)

/** Reads what the handle was opened on: it is checked and read as one file, whatever the name leads to meanwhile. */
const readAll = async (path: string, file: FileHandle, maxBytes: number): Promise<Buffer> => {
  // One byte more than allowed: a file that grows while it is read is noticed.
  const room = Buffer.alloc(Math.min((await file.stat()).size, maxBytes) + 1)
  let length = 0
  for (;;) {
    const { bytesRead } = await file.read(room, length, room.length - length)
    length += bytesRead
    if (bytesRead === 0 || length === room.length) break
  }
  const content = Buffer.from(room.subarray(0, length))
  wipe(room)
  if (length < room.length) return content
  wipe(content)
  throw unusable(path, `is larger than ${String(maxBytes)} bytes, or changed while it was read`)
}

type Check = (path: string, stats: Stats) => Promise<void>

const readChecked = async (path: string, maxBytes: number, check: Check): Promise<Buffer> => {
  try {
    // Not blocking: opening a named pipe would wait for a writer.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const stats = await file.stat()
    if (stats.isDirectory()) throw unusable(path, 'is a directory, not a file')
    if (!stats.isFile()) throw unusable(path, 'is not a regular file')
    await check(path, stats)
    if (stats.size > maxBytes) throw unusable(path, `is larger than ${String(maxBytes)} bytes`)
    return await readAll(path, file, maxBytes)
  } catch (error) {
    throw failure(path, error)
  }
}

/**
 * Reads a regular file of at most `maxBytes`.
 * @throws KmeError CONFIG_INVALID with one line, `PATH: reason`
 */
export const readRegularFile = (path: string, maxBytes = DEFAULT_MAX_BYTES): Promise<Buffer> =>
  readChecked(path, maxBytes, async () => {})

const isBelow = async (path: string, directory: string | undefined): Promise<boolean> => {
  if (directory === undefined || directory === '') return false
  // Real paths: a link out of the directory is not below it.
  const [file, top] = await Promise.all([realpath(path), realpath(directory)])
  const way = relative(top, file)
  return way !== '' && way !== '..' && !way.startsWith('../') && !isAbsolute(way)
}

/**
 * Reads a private key or key-encryption key: a regular file that neither group nor others can read
 * or write. Who gets the buffer wipes it.
 * @throws KmeError CONFIG_INVALID with one line, `PATH: reason`, without any of the content
 */
export const readSecretFile = (path: string, options: SecretFileOptions = {}): Promise<Buffer> =>
  readChecked(path, DEFAULT_MAX_BYTES, async (_, stats) => {
    if ((stats.mode & GROUP_AND_OTHERS) === 0) return
    if (await isBelow(path, options.credentialsDirectory).catch(() => false)) return
    const mode = (stats.mode & PERMISSION_BITS).toString(8).padStart(4, '0')
    throw unusable(path, `group or others can access it (mode ${mode}): run chmod 600 on it`)
  })
