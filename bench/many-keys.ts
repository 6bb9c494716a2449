import type { Ground } from './ground.ts'
import { MOST_KEYS_PER_CALL } from './operations.ts'
import { type KmeSlice, Turns } from './turns.ts'

/** Get key with one key per call beside Get key with many. */
export interface ManyKeysResult {
  readonly connections: number
  readonly keysPerCall: number
  /** In the order in which they ran; slice i of the one stands beside slice i of the other. */
  readonly one: readonly KmeSlice[]
  readonly many: readonly KmeSlice[]
}

const CONNECTIONS = 64
/** So many keys go fast: a longer slice would run out of them. */
const MOST_SLICE_MS = 1_000

export const measureManyKeys = async (ground: Ground): Promise<ManyKeysResult> => {
  const { rounds, sliceMs, warmUpMs } = ground.pace
  const operation = 'get-key'
  const keysPerCall = MOST_KEYS_PER_CALL
  using ofOne = new Turns(ground, { operation, keysPerCall: 1 }, CONNECTIONS)
  using ofMany = new Turns(ground, { operation, keysPerCall }, CONNECTIONS)
  for (const turns of [ofOne, ofMany]) await turns.warmUp(warmUpMs)
  const one: KmeSlice[] = []
  const many: KmeSlice[] = []
  for (let round = 0; round < rounds; round += 1) {
    one.push(await ofOne.askKme(round, sliceMs))
    many.push(await ofMany.askKme(round, Math.min(sliceMs, MOST_SLICE_MS)))
  }
  return { connections: CONNECTIONS, keysPerCall, one, many }
}
