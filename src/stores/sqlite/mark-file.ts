import { open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { z } from 'zod'
import type { StoreStanding } from '../../ports/lane-store.ts'

/** What a store was at some moment, kept beside it: no secret. */
const markSchema = z.strictObject({
  generation: z.string(),
  links: z.array(z.strictObject({ linkId: z.string(), life: z.number(), changes: z.number() })),
})

export type Mark = z.infer<typeof markSchema>

export const markPathOf = (storePath: string): string => `${storePath}.mark`

export const markOf = ({ generation, links }: StoreStanding): Mark => ({
  generation,
  links: [...links],
})

/** Null where there is none. @throws where it cannot be read, or is no mark */
export const readMark = async (path: string): Promise<Mark | null> => {
  try {
    return markSchema.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch (error) {
    const isMissing =
      typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT'
    if (isMissing) return null
    throw error
  }
}

/** Durable when it resolves; a crash leaves the mark of before or this one, whole. */
export const writeMark = async (path: string, mark: Mark): Promise<void> => {
  const draft = `${path}.new`
  {
    await using file = await open(draft, 'w', 0o600)
    await file.writeFile(JSON.stringify(mark))
    await file.sync()
  }
  await rename(draft, path)
  await using directory = await open(dirname(path), 'r')
  await directory.sync()
}

/**
 * Why the store beside a mark is an older copy, or another store, than the one that was last
 * marked; null where it is not. A mark that names a former generation is only late: the KME ended
 * between taking a new one and marking it. One that names a generation unknown to the store was
 * written for another: the store was replaced, by its own copy of before a restore for one.
 */
export const findCopiedBack = (mark: Mark, store: StoreStanding): string | null => {
  if (store.formerGenerations.includes(mark.generation)) return null
  if (mark.generation !== store.generation) return 'another store lay in its place when it last ran'
  const present = new Map(store.links.map((link) => [link.linkId, link]))
  const isBehind = mark.links.some((marked) => {
    const link = present.get(marked.linkId)
    return !link || link.life < marked.life || link.changes < marked.changes
  })
  return isBehind ? 'it is an older copy of the store that last ran' : null
}
