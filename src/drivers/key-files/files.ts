import { constants } from 'node:fs'
import { lstat, open, opendir, rename, unlink, type FileHandle } from 'node:fs/promises'
import type { Stats } from 'node:fs'
import { join } from 'node:path'
import { KmeError } from '../../errors.ts'

const OTHERS_MAY_WRITE = 0o002
const ERASE_CHUNK_BYTES = 64 * 1024
/** No separators, so that a name cannot lead out of the folder. */
const SAFE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,119}$/
const UNSAFE_NAME =
  'has a name that is over 120 characters, holds others than A-Z a-z 0-9 . _ - or begins with one of . _ -'

/** What tells one content of a name from another. */
export interface FileFacts {
  readonly name: string
  readonly sizeBytes: number
  readonly modifiedMs: number
  readonly inode: number
}

export interface FileRules {
  readonly maxFileBytes: number
  readonly ownerUids: readonly number[]
}

export const sameFacts = (a: FileFacts, b: FileFacts): boolean =>
  a.name === b.name &&
  a.sizeBytes === b.sizeBytes &&
  a.modifiedMs === b.modifiedMs &&
  a.inode === b.inode

const factsOf = (name: string, stats: Stats): FileFacts => ({
  name,
  sizeBytes: stats.size,
  modifiedMs: stats.mtimeMs,
  inode: stats.ino,
})

const unseen = (name: string): FileFacts => ({ name, sizeBytes: 0, modifiedMs: 0, inode: 0 })

const mayOwn = (uid: number, rules: FileRules): boolean => {
  const own = process.geteuid?.()
  return own === undefined || uid === own || uid === 0 || rules.ownerUids.includes(uid)
}

const problemOf = (stats: Stats, rules: FileRules): string | null => {
  if (stats.isSymbolicLink()) return 'is a symbolic link'
  if (!stats.isFile()) return 'is no regular file'
  if (stats.nlink > 1) return 'has more than one name (hard links)'
  if (stats.size > rules.maxFileBytes) {
    return `has ${stats.size} bytes, more than maxFileBytes (${rules.maxFileBytes})`
  }
  if (!mayOwn(stats.uid, rules)) return `belongs to user ${stats.uid}, who is not in ownerUids`
  const isOpen = process.platform !== 'win32' && (stats.mode & OTHERS_MAY_WRITE) !== 0
  return isOpen ? 'can be written by anyone' : null
}

export interface Sighting {
  readonly facts: FileFacts
  /** Why the file is not read, or null. */
  readonly problem: string | null
}

/** The folder of one device. Nothing outside it is ever touched. */
export class KeyFolder {
  readonly #directory: string
  readonly #suffix: string
  readonly #rules: FileRules

  constructor(directory: string, suffix: string, rules: FileRules) {
    this.#directory = directory
    this.#suffix = suffix
    this.#rules = rules
  }

  /** @throws KmeError DRIVER_FAILED where the folder cannot be used as it is */
  async check(): Promise<void> {
    const stats = await lstat(this.#directory)
    if (!stats.isDirectory()) throw this.#unusable('is no folder')
    const isOpen = process.platform !== 'win32' && (stats.mode & OTHERS_MAY_WRITE) !== 0
    if (isOpen) throw this.#unusable('can be written by anyone: take that right away (chmod o-w)')
  }

  /**
   * The files of the format, in the order of their names; hidden ones are a writer's own affair.
   * @throws where the folder cannot be read
   */
  async list(maxFiles: number): Promise<readonly Sighting[]> {
    const names: string[] = []
    for await (const { name } of await opendir(this.#directory)) {
      if (name.endsWith(this.#suffix) && !name.startsWith('.')) names.push(name)
      if (names.length > maxFiles)
        throw this.#unusable(`holds more than ${maxFiles} files (maxFiles)`)
    }
    const sightings: Sighting[] = []
    for (const name of names.sort()) {
      const sighting = await this.#look(name)
      if (sighting !== null) sightings.push(sighting)
    }
    return sightings
  }

  /** Opens the very file that was seen; null where it is another one by now, or gone. */
  async open(facts: FileFacts): Promise<FileHandle | null> {
    return this.#openSeen(facts, constants.O_RDONLY, sameFacts)
  }

  /** Whether the file is still the one that was seen. */
  async isUnchanged(handle: FileHandle, facts: FileFacts): Promise<boolean> {
    return sameFacts(factsOf(facts.name, await handle.stat()), facts)
  }

  /** Overwrites and removes the very file that was seen; another one under its name stays. */
  async erase(facts: FileFacts): Promise<void> {
    // Half an overwriting changes the time of change, so that alone does not count here.
    const isSame = (now: FileFacts) =>
      now.inode === facts.inode && now.sizeBytes === facts.sizeBytes
    const handle = await this.#openSeen(facts, constants.O_WRONLY, isSame)
    if (handle === null) return
    try {
      const zeros = Buffer.alloc(ERASE_CHUNK_BYTES)
      for (let at = 0; at < facts.sizeBytes; at += zeros.length) {
        await handle.write(zeros, 0, Math.min(zeros.length, facts.sizeBytes - at), at)
      }
      await handle.sync()
    } finally {
      await handle.close()
    }
    await unlink(join(this.#directory, facts.name))
  }

  /** Renames the file so that it is never read again. */
  async putAside(facts: FileFacts): Promise<void> {
    const path = join(this.#directory, facts.name)
    await rename(path, `${path}.quarantined`)
  }

  async #look(name: string): Promise<Sighting | null> {
    if (!SAFE_NAME.test(name)) return { facts: unseen(name), problem: UNSAFE_NAME }
    try {
      const stats = await lstat(join(this.#directory, name))
      return { facts: factsOf(name, stats), problem: problemOf(stats, this.#rules) }
    } catch (error) {
      if (isMissing(error)) return null
      throw error
    }
  }

  async #openSeen(
    facts: FileFacts,
    flags: number,
    isSame: (now: FileFacts, seen: FileFacts) => boolean,
  ): Promise<FileHandle | null> {
    let handle: FileHandle
    try {
      const safely = flags | constants.O_NOFOLLOW | constants.O_NONBLOCK
      handle = await open(join(this.#directory, facts.name), safely)
    } catch (error) {
      if (isMissing(error)) return null
      throw error
    }
    try {
      // Once more on what is open: the name may mean another file since it was looked at.
      const stats = await handle.stat()
      const isFit = problemOf(stats, this.#rules) === null
      if (isFit && isSame(factsOf(facts.name, stats), facts)) return handle
    } catch (error) {
      await handle.close()
      throw error
    }
    await handle.close()
    return null
  }

  #unusable(what: string): KmeError {
    return new KmeError('DRIVER_FAILED', `folder ${this.#directory} ${what}`)
  }
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ELOOP')
