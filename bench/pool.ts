import { keysInLanes } from './fill.ts'
import type { Ground } from './ground.ts'
import type { StartTimes } from './site.ts'
import { type KmeSlice, Turns } from './turns.ts'

/** Get key over one connection where few keys lie in the lanes beside where very many do. */
export interface PoolResult {
  readonly fewKeys: number
  readonly manyKeys: number
  /** In the order in which they ran; slice i of the one stands beside slice i of the other. */
  readonly few: readonly KmeSlice[]
  readonly many: readonly KmeSlice[]
}

export const measurePool = async (few: Ground, many: Ground): Promise<PoolResult> => {
  const { rounds, sliceMs, warmUpMs } = few.pace
  const call = { operation: 'get-key', keysPerCall: 1 } as const
  using ofFew = new Turns(few, call, 1)
  using ofMany = new Turns(many, call, 1)
  for (const turns of [ofFew, ofMany]) await turns.warmUp(warmUpMs)
  const fewKeys = await keysInLanes(few.lab.a)
  const manyKeys = await keysInLanes(many.lab.a)
  const slices: { few: KmeSlice[]; many: KmeSlice[] } = { few: [], many: [] }
  for (let round = 0; round < rounds; round += 1) {
    slices.few.push(await ofFew.askKme(round, sliceMs))
    slices.many.push(await ofMany.askKme(round, sliceMs))
  }
  return { fewKeys, manyKeys, ...slices }
}

/** Starts of a KME on its store, the peer being up. */
export interface StartResult {
  readonly fewKeys: number
  readonly manyKeys: number
  readonly few: readonly StartTimes[]
  readonly many: readonly StartTimes[]
}

const restarts = async ({ lab, pace }: Ground): Promise<readonly StartTimes[]> => {
  const times: StartTimes[] = []
  for (let i = 0; i < pace.restarts; i += 1) times.push(await lab.a.restart(lab.b.saeId))
  return times
}

export const measureStart = async (few: Ground, many: Ground): Promise<StartResult> => ({
  fewKeys: await keysInLanes(few.lab.a),
  manyKeys: await keysInLanes(many.lab.a),
  few: await restarts(few),
  many: await restarts(many),
})
