import type { Ground } from './ground.ts'
import type { Slice } from './load.ts'
import type { OperationName } from './operations.ts'
import type { CaseSpec } from './options.ts'
import { median } from './statistics.ts'
import { type KmeSlice, Turns } from './turns.ts'

/** One row of the table: one call at one number of connections. */
export interface CaseResult extends CaseSpec {
  /** In the order in which they ran; slice i of the one stands beside slice i of the other. */
  readonly kme: readonly KmeSlice[]
  readonly bare: readonly Slice[]
  /** What a synced write of 4 KiB took just before each round. */
  readonly fsyncMs: readonly number[]
}

const SYNCS_PER_ROUND = 40
const WARM_UP_CONNECTIONS = 32

/** Measures one case: both servers are warmed up, then sliced in turns. */
export const measureCase = async (ground: Ground, spec: CaseSpec): Promise<CaseResult> => {
  const { rounds, sliceMs, warmUpMs } = ground.pace
  const { operation, connections } = spec
  using turns = new Turns(ground, { operation, keysPerCall: 1 }, connections)
  await turns.warmUp(warmUpMs)
  const kme: KmeSlice[] = []
  const bare: Slice[] = []
  const fsyncMs: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    fsyncMs.push(median(ground.disk.sample(SYNCS_PER_ROUND)))
    bare.push(await turns.askBare(sliceMs))
    kme.push(await turns.askKme(round, sliceMs))
  }
  return { operation, connections, kme, bare, fsyncMs }
}

/** Load that is not counted: code that has hardly run is many times slower. */
export const warmUpCode = async (
  ground: Ground,
  operations: Iterable<OperationName>,
): Promise<void> => {
  for (const operation of operations) {
    using turns = new Turns(ground, { operation, keysPerCall: 1 }, WARM_UP_CONNECTIONS)
    await turns.warmUp(ground.pace.firstWarmUpMs)
  }
}
