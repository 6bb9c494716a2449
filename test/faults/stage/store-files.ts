import { copyFile, mkdir, open, readFile, readdir, rm, stat, truncate } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { parse } from 'yaml'
import type { KmeSite } from '../../helpers/kme-site.ts'
import type { Dice } from '../../links/chaos/dice.ts'

export const DATABASE = 'keyspring.db'
const LOG = `${DATABASE}-wal`
/** The database and its log; not what a KME keeps beside it, which nobody thinks of. */
const isDatabase = (name: string): boolean => /^keyspring\.db(-wal|-shm)?$/.test(name)

/** Where the configuration of the KME says that its store is. */
export const storeFileOf = async ({ configFile }: KmeSite): Promise<string> => {
  const config = parse(await readFile(configFile, 'utf8')) as { store: { path: string } }
  return resolve(dirname(configFile), config.store.path)
}

/** Copies the files of a store that nobody has open from one folder to another, in place of those there. */
export const copyDatabase = async (from: string, to: string): Promise<void> => {
  await mkdir(to, { recursive: true, mode: 0o700 })
  for (const name of (await readdir(to)).filter(isDatabase)) await rm(join(to, name))
  for (const name of (await readdir(from)).filter(isDatabase)) {
    await copyFile(join(from, name), join(to, name))
  }
}

const FEW_BITS = 1
const MANY_BITS = 64

/** A way in which a disk or a person spoils the files of a store; says what it did. */
export interface Damage {
  /** A stopped KME leaves all in the database, a killed one much in the log. */
  readonly after: 'SIGTERM' | 'SIGKILL'
  readonly spoil: (folder: string, dice: Dice) => Promise<string>
}

const flipBits = async (file: string, dice: Dice, count: number): Promise<string> => {
  const { size } = await stat(file)
  if (size === 0) return 'no bit to turn'
  await using handle = await open(file, 'r+')
  const byte = Buffer.alloc(1)
  for (let i = 0; i < count; i += 1) {
    const at = dice.roll(size)
    await handle.read(byte, 0, 1, at)
    byte[0] = (byte[0] ?? 0) ^ (1 << dice.roll(8))
    await handle.write(byte, 0, 1, at)
  }
  return `${count} of ${8 * size} bits turned in ${file.slice(file.lastIndexOf('/') + 1)}`
}

const cutShort = async (file: string, dice: Dice): Promise<string> => {
  const { size } = await stat(file)
  const left = dice.roll(size + 1)
  await truncate(file, left)
  return `${file.slice(file.lastIndexOf('/') + 1)} cut from ${size} to ${left} bytes`
}

export const DAMAGES: readonly Damage[] = [
  { after: 'SIGTERM', spoil: (at, dice) => flipBits(join(at, DATABASE), dice, FEW_BITS) },
  { after: 'SIGKILL', spoil: (at, dice) => cutShort(join(at, LOG), dice) },
  { after: 'SIGTERM', spoil: (at, dice) => flipBits(join(at, DATABASE), dice, MANY_BITS) },
  { after: 'SIGKILL', spoil: (at, dice) => flipBits(join(at, LOG), dice, MANY_BITS) },
  { after: 'SIGKILL', spoil: (at, dice) => cutShort(join(at, DATABASE), dice) },
  {
    after: 'SIGKILL',
    async spoil(at) {
      await rm(join(at, LOG))
      return 'the log is gone'
    },
  },
]
