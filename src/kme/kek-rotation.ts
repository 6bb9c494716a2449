import type { Config } from '../config/schema.ts'
import { KmeError } from '../errors.ts'
import type { Random } from '../ports/clock.ts'
import { openFileSealing } from '../sealing/file-sealing.ts'
import type { Store } from '../stores/store.ts'

export interface KekRotationParts {
  readonly config: Config['store']
  readonly store: Store
  readonly random: Random
  readonly credentialsDirectory: string | undefined
}

/**
 * Puts the store of a running KME under the newest KEK of its KEK file, which must be `kekId`.
 * @throws KmeError BAD_REQUEST, SEALING_FAILED with nothing changed; STORE_FAILED: to be done again
 */
export const rotateKek = async (
  { config, store, random, credentialsDirectory }: KekRotationParts,
  kekId: string,
): Promise<void> => {
  if (config.type === 'memory') throw new KmeError('BAD_REQUEST', 'a store in memory has no KEK')
  const sealing = await openFileSealing(config.kekFile, { random, credentialsDirectory })
  try {
    if (sealing.kekId !== kekId) {
      throw new KmeError(
        'SEALING_FAILED',
        `the KEK file ${config.kekFile} that this KME reads ends with KEK ${sealing.kekId}, not with ${kekId}: name the configuration of this KME, on its host`,
      )
    }
    await store.rewrap(sealing)
  } finally {
    sealing.close()
  }
}
