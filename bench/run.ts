import { measureCase, warmUpCode } from './cases.ts'
import { ticksPerSecond } from './cpu-time.ts'
import type { DiskSync } from './disk.ts'
import { fill } from './fill.ts'
import type { Ground } from './ground.ts'
import { measureHandshakes } from './handshakes.ts'
import { type Lab, type LabSettings, startLab } from './lab.ts'
import { measureManyKeys } from './many-keys.ts'
import { measureMemory } from './memory.ts'
import { measureOpenLoop } from './open-loop.ts'
import { CAPACITY_CONNECTIONS, type Part, type Plan } from './options.ts'
import { measurePool, measureStart } from './pool.ts'
import { type Findings, nothingFound } from './results.ts'
import { measureSimulator } from './simulator.ts'
import { measureCheckpointStalls, measureErasureStalls, watchStalls } from './stalls.ts'
import { measureStorm } from './storm.ts'
import { Supply } from './supply.ts'

export interface RunParts {
  readonly plan: Plan
  /** On a real disk. */
  readonly parent: string
  readonly disk: DiskSync
  readonly profileDir: string | null
  readonly stop: AbortController
  readonly say: (text: string) => void
}

const KIB = 1024
const DAY_S = 86_400
/** The device pauses a little above that. */
const FULL_SHARE = 0.75
const FEW_KEYS = 10_000

/**
 * A KME draws from its own lane first, so the two serve in turn; the device goes on at
 * half of the pool, so that the lanes are full when a slice begins and it seldom runs.
 */
const pairOf = (poolKeys: number, more: Partial<LabSettings> = {}): LabSettings => ({
  poolKeys,
  highWaterPercent: 80,
  lowWaterPercent: 50,
  blockBytes: 64 * KIB,
  keyLifetimeS: DAY_S,
  crowd: 0,
  ...more,
})

/** A pool is full at 80 %. */
const poolFor = (keysInLanes: number): number => Math.ceil(keysInLanes / 0.78)

const STANDARD_POOL_KEYS = 1_000_000
const LASTING_POOL_KEYS = 500_000
/** Longer than keys of a call wait for their slave, shorter than anybody wants to wait. */
const SHORT_LIFETIME_S = 30
const LARGE_BLOCK_BYTES = KIB * KIB

const wants = ({ plan }: RunParts, ...parts: readonly Part[]): boolean =>
  parts.some((part) => plan.parts.has(part))

const groundOf = ({ plan, disk, stop }: RunParts, lab: Lab): Ground => {
  const { signal } = stop
  const supply = new Supply(signal)
  return { lab, supply, disk, pace: plan.pace, hertz: ticksPerSecond(), signal }
}

const start = async (parts: RunParts, settings: LabSettings): Promise<Lab> => {
  parts.say(`starting two KMEs for ${String(settings.poolKeys)} keys, and a bare server`)
  return startLab(parts, settings)
}

/** Calls under load. */
const measureCalls = async (parts: RunParts, found: Findings): Promise<void> => {
  const { plan, say } = parts
  if (plan.cases.length === 0 && !wants(parts, 'many-keys', 'handshakes', 'stalls')) return
  await using lab = await start(parts, pairOf(STANDARD_POOL_KEYS))
  const ground = groundOf(parts, lab)
  say('filling the lanes')
  found.intake = [...found.intake, await fill(lab, STANDARD_POOL_KEYS * FULL_SHARE, ground.hertz)]
  say('warming up')
  const operations = new Set(plan.cases.map((spec) => spec.operation))
  await warmUpCode(ground, operations.size > 0 ? operations : ['get-key'])
  for (const spec of plan.cases) {
    say(`${spec.operation} at ${String(spec.connections)}`)
    found.cases = [...found.cases, await measureCase(ground, spec)]
  }
  await measureMoreCalls(parts, ground, found)
}

const measureMoreCalls = async (
  parts: RunParts,
  ground: Ground,
  found: Findings,
): Promise<void> => {
  const { say } = parts
  if (wants(parts, 'many-keys')) {
    say('many keys per call')
    found.manyKeys = await measureManyKeys(ground)
  }
  if (wants(parts, 'open-loop')) {
    const capacities = found.cases.filter(({ connections }) => connections === CAPACITY_CONNECTIONS)
    for (const capacity of capacities) {
      say(`${capacity.operation} at a fixed rate`)
      found.openLoop = [...found.openLoop, await measureOpenLoop(ground, capacity)]
    }
  }
  if (wants(parts, 'handshakes')) {
    say('handshakes')
    found.handshakes = await measureHandshakes(ground)
  }
  if (wants(parts, 'stalls')) {
    say('stalls during checkpoints')
    found.stalls = [...found.stalls, await measureCheckpointStalls(ground)]
  }
}

/** Few keys in the lanes beside very many. */
const measurePools = async (parts: RunParts, found: Findings): Promise<void> => {
  const { plan } = parts
  if (!wants(parts, 'pool', 'start', 'storm', 'stalls')) return
  if (wants(parts, 'pool', 'start', 'storm')) {
    const crowd = wants(parts, 'storm') ? plan.pace.stormSaes : 0
    await using few = await start(parts, pairOf(poolFor(FEW_KEYS), { crowd, lowWaterPercent: 60 }))
    await measureFew(parts, groundOf(parts, few), found)
    if (wants(parts, 'pool', 'start')) await measureMany(parts, found, groundOf(parts, few))
    return
  }
  await measureMany(parts, found, null)
}

const measureFew = async (parts: RunParts, ground: Ground, found: Findings): Promise<void> => {
  await fill(ground.lab, FEW_KEYS, ground.hertz)
  if (!wants(parts, 'storm')) return
  parts.say('many SAEs at once')
  found.storm = await measureStorm(ground)
}

const measureMany = async (parts: RunParts, found: Findings, few: Ground | null): Promise<void> => {
  const { plan, say } = parts
  const keys = plan.pace.manyKeysInLanes
  const settings = pairOf(poolFor(keys), { blockBytes: LARGE_BLOCK_BYTES })
  await using lab = await start(parts, settings)
  const many = groundOf(parts, lab)
  say('filling the lanes')
  const [stalls, intake] = await watchStalls(lab, 'verification', () => fill(lab, keys, many.hertz))
  found.intake = [...found.intake, intake]
  if (wants(parts, 'stalls')) found.stalls = [...found.stalls, stalls]
  if (few && wants(parts, 'pool')) {
    say('few and very many keys in the lanes')
    found.pool = await measurePool(few, many)
  }
  if (few && wants(parts, 'start')) {
    say('starts')
    found.start = await measureStart(few, many)
  }
}

/** Many deliveries, and what becomes of those that nobody fetches. */
const measureLasting = async (parts: RunParts, found: Findings): Promise<void> => {
  if (!wants(parts, 'memory', 'stalls')) return
  const settings = pairOf(LASTING_POOL_KEYS, { keyLifetimeS: SHORT_LIFETIME_S })
  await using lab = await start(parts, settings)
  const ground = groundOf(parts, lab)
  await fill(lab, LASTING_POOL_KEYS * FULL_SHARE, ground.hertz)
  if (wants(parts, 'memory')) {
    parts.say('memory over many deliveries')
    found.memory = await measureMemory(ground)
  }
  if (wants(parts, 'stalls')) {
    parts.say('stalls during erasure')
    found.stalls = [...found.stalls, await measureErasureStalls(ground)]
  }
}

/** Measures what the plan wants. */
export const measureAll = async (parts: RunParts): Promise<Findings> => {
  const found = nothingFound()
  await measureCalls(parts, found)
  await measurePools(parts, found)
  await measureLasting(parts, found)
  if (wants(parts, 'simulator')) {
    parts.say('the simulator')
    found.simulator = await measureSimulator(parts.parent, parts.plan.pace)
  }
  return found
}
