import { existsSync } from 'node:fs'
import { KmeError } from '../errors.ts'
import type { Config, SqliteConfig } from '../config/schema.ts'
import type { Random } from '../ports/clock.ts'
import type { Store } from '../stores/store.ts'
import { openFileSealing } from '../sealing/file-sealing.ts'
import { openMemoryStore } from '../stores/memory/memory-store.ts'
import { openSqliteStore } from '../stores/sqlite/sqlite-store.ts'

export interface StoreOpening {
  readonly random: Random
  readonly credentialsDirectory: string | undefined
  /** Gets what has to be closed. */
  readonly opened: AsyncDisposableStack
}

/** The store of the configuration. @throws KmeError STORE_..., SEALING_FAILED */
export const openStore = async (config: Config['store'], opening: StoreOpening): Promise<Store> => {
  const { random, opened } = opening
  const store =
    config.type === 'memory' ? openMemoryStore({ random }) : await openSqlite(config, opening)
  opened.defer(() => store.close())
  return store
}

const openSqlite = async (
  { path, kekFile }: SqliteConfig,
  { random, credentialsDirectory }: StoreOpening,
): Promise<Store> => {
  // A new store in place of one that is missing would be taken for a restored one by the peers.
  if (!existsSync(path)) {
    throw new KmeError(
      'STORE_FAILED',
      `store ${path} does not exist; "keyspring store init" makes it`,
    )
  }
  const sealing = await openFileSealing(kekFile, { random, credentialsDirectory })
  try {
    return await openSqliteStore({ path, sealing, random })
  } finally {
    // Data keys are open now: the KEK need not stay in memory.
    sealing.close()
  }
}
