import type { Ground } from './ground.ts'
import type { Lab } from './lab.ts'
import { MOST_KEYS_PER_CALL } from './operations.ts'
import type { StallReading } from './probe.ts'
import { Turns } from './turns.ts'

/** What a KME did while its event loop was watched. */
export type StallOccasion = 'checkpoints' | 'verification' | 'erasure'

export interface StallResult {
  readonly during: StallOccasion
  readonly a: StallReading
  readonly b: StallReading
  /** Of the bare server: what the machine alone makes of it. */
  readonly bare: StallReading
}

const LOAD_CONNECTIONS = 64
const DRAW_CONNECTIONS = 16
/** Everything that the collector or the log writes back has happened by then. */
const DIRECTIONS = 2

/** Watches all three servers during `work`; the bare one has nothing to do meanwhile. */
export const watchStalls = async <T>(
  lab: Lab,
  during: StallOccasion,
  work: () => Promise<T>,
): Promise<readonly [StallResult, T]> => {
  const { a, b, bare } = lab
  const children = [a.child, b.child, bare.child] as const
  for (const child of children) await child.watch()
  const done = await work()
  const result = {
    during,
    a: await a.child.stalls(),
    b: await b.child.stalls(),
    bare: await bare.child.stalls(),
  }
  return [result, done]
}

/** Load under which the log of the store is written back again and again; the bare server gets the same. */
export const measureCheckpointStalls = async (ground: Ground): Promise<StallResult> => {
  const { lab, pace } = ground
  using turns = new Turns(ground, { operation: 'get-key', keysPerCall: 1 }, LOAD_CONNECTIONS)
  await turns.warmUp(pace.warmUpMs)
  const [result] = await watchStalls(lab, 'checkpoints', async () => {
    for (let round = 0; round < DIRECTIONS; round += 1) {
      await turns.askKme(round, pace.stallMs / DIRECTIONS)
    }
  })
  await lab.bare.child.watch()
  await turns.askBare(pace.stallMs)
  return { ...result, bare: await lab.bare.child.stalls() }
}

/** Many deliveries that nobody fetches expire together. */
export const measureErasureStalls = async (ground: Ground): Promise<StallResult> => {
  const { lab, pace } = ground
  const call = { operation: 'get-key', keysPerCall: MOST_KEYS_PER_CALL } as const
  using turns = new Turns(ground, call, DRAW_CONNECTIONS)
  for (let round = 0; round < DIRECTIONS; round += 1) {
    await turns.askKme(round, pace.stallMs / DIRECTIONS / 2)
  }
  const [result] = await watchStalls(lab, 'erasure', async () => {
    for (const site of [lab.a, lab.b]) {
      await site.untilLink(({ pending }) => pending.unfetchedBytes === 0)
    }
  })
  return result
}
