import { randomBytes } from 'node:crypto'
import { link, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { KmeError, messageOf } from '../errors.ts'

/** Files that are whole or not there: written beside their place, made durable, then moved in. */

export const PRIVATE_MODE = 0o600
export const PUBLIC_MODE = 0o644
const FOLDER_MODE = 0o700

const codeOf = (error: unknown): unknown =>
  typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined

export const isMissing = (error: unknown): boolean => codeOf(error) === 'ENOENT'
export const isPresent = (error: unknown): boolean => codeOf(error) === 'EEXIST'

const failure = (file: string, error: unknown): KmeError =>
  error instanceof KmeError
    ? error
    : new KmeError('PKI_INVALID', `${file}: cannot be written: ${messageOf(error)}`, {
        cause: error,
      })

export const makeFolder = async (folder: string): Promise<void> => {
  try {
    await mkdir(folder, { recursive: true, mode: FOLDER_MODE })
  } catch (error) {
    throw failure(folder, error)
  }
}

const syncFolder = async (folder: string): Promise<void> => {
  await using handle = await open(folder, 'r')
  await handle.sync()
}

type Place = (temporary: string, file: string) => Promise<void>

const write = async (
  file: string,
  content: string | Uint8Array,
  mode: number,
  place: Place,
): Promise<void> => {
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`
  try {
    {
      await using handle = await open(temporary, 'wx', mode)
      await handle.writeFile(content)
      await handle.sync()
    }
    await place(temporary, file)
    await syncFolder(dirname(file))
  } catch (error) {
    throw failure(file, error)
  } finally {
    await rm(temporary, { force: true })
  }
}

/**
 * Writes a file that must not exist yet.
 * @throws KmeError PKI_INVALID: it exists (it is left as it is), or the folder cannot be written
 */
export const writeNewFile = (
  file: string,
  content: string | Uint8Array,
  mode = PUBLIC_MODE,
): Promise<void> =>
  write(file, content, mode, async (temporary) => {
    try {
      // Unlike rename, link never replaces.
      await link(temporary, file)
    } catch (error) {
      if (!isPresent(error)) throw error
      throw new KmeError(
        'PKI_INVALID',
        `${file} exists already and is never overwritten: move it away first`,
      )
    }
  })

/** Writes a file, in the place of an older one if there is one. */
export const replaceFile = (
  file: string,
  content: string | Uint8Array,
  mode = PUBLIC_MODE,
): Promise<void> => write(file, content, mode, rename)
