import { open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import * as z from 'zod'
import { KmeError, messageOf } from '../errors.ts'
import { PRIVATE_MODE, isMissing, isPresent, replaceFile, writeNewFile } from './files.ts'
import { ROLES } from './roles.ts'

const entrySchema = z.strictObject({
  name: z.string(),
  /** Lower-case hex, no leading zeros. */
  serial: z.string().regex(/^[1-9a-f][0-9a-f]*$/),
  role: z.enum(ROLES),
  issuedAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
  revokedAt: z.nullable(z.iso.datetime()),
})

const indexSchema = z.strictObject({
  version: z.literal(1),
  /** Number of the CRL that was written last. */
  crlNumber: z.int().min(0),
  certificates: z.array(entrySchema),
})

/** What a CA issued, and what it revoked. */
export type CaIndex = z.output<typeof indexSchema>
export type IssuedCertificate = Readonly<z.output<typeof entrySchema>>

const fileOf = (folder: string): string => join(folder, 'index.json')

const serialize = (index: CaIndex): string => `${JSON.stringify(index, null, 2)}\n`

export const createIndex = (folder: string): Promise<void> =>
  writeNewFile(
    fileOf(folder),
    serialize({ version: 1, crlNumber: 0, certificates: [] }),
    PRIVATE_MODE,
  )

/** @throws KmeError PKI_INVALID */
export const readIndex = async (folder: string): Promise<CaIndex> => {
  const file = fileOf(folder)
  try {
    return indexSchema.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch (error) {
    const reason = isMissing(error)
      ? 'no such file: run `keyspring pki init` first'
      : error instanceof z.ZodError
        ? 'is no index of a Keyspring CA'
        : messageOf(error)
    throw new KmeError('PKI_INVALID', `${file}: ${reason}`, { cause: error })
  }
}

const RETRY_MS = 20
const GIVE_UP_AFTER = 500

const lock = async (file: string): Promise<void> => {
  for (let tries = 0; tries < GIVE_UP_AFTER; tries++) {
    try {
      await using handle = await open(file, 'wx', PRIVATE_MODE)
      await handle.writeFile(`${String(process.pid)}\n`)
      return
    } catch (error) {
      if (!isPresent(error)) {
        throw new KmeError('PKI_INVALID', `${file}: ${messageOf(error)}`, { cause: error })
      }
    }
    await sleep(RETRY_MS)
  }
  throw new KmeError(
    'PKI_INVALID',
    `${file}: another pki command holds the CA; if none runs (the file names its process), remove this file`,
  )
}

/** Changes the index; two processes at once wait for one another. What `change` leaves in its argument is written. */
export const updateIndex = async <T>(
  folder: string,
  change: (index: CaIndex) => T | Promise<T>,
): Promise<T> => {
  const lockFile = join(folder, 'index.lock')
  await lock(lockFile)
  try {
    const index = await readIndex(folder)
    const result = await change(index)
    await replaceFile(fileOf(folder), serialize(index), PRIVATE_MODE)
    return result
  } finally {
    await rm(lockFile, { force: true })
  }
}
