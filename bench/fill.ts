import { performance } from 'node:perf_hooks'
import { cpuTimeUs } from './cpu-time.ts'
import type { Lab } from './lab.ts'
import { KEY_BYTES } from './operations.ts'
import type { Site } from './site.ts'

/** What it took to bring key of the device into the lanes, before the load. */
export interface IntakeResult {
  /** Keys of the size measured, in both lanes. */
  readonly keys: number
  readonly seconds: number
  /** CPU time per key, both KMEs and the simulated device in them. */
  readonly cpuUsPerKey: number
}

export const keysInLanes = async (site: Site): Promise<number> => {
  const { lanes } = await site.link()
  return Math.floor((lanes[0].availableBytes + lanes[1].availableBytes) / KEY_BYTES)
}

/** Waits until the devices of both KMEs pause, with at least so many keys in the lanes. */
export const fill = async ({ a, b }: Lab, keys: number, hertz: number): Promise<IntakeResult> => {
  const cpuUs = (): number => cpuTimeUs(a.child.pid, hertz) + cpuTimeUs(b.child.pid, hertz)
  const before = { keys: await keysInLanes(a), cpuUs: cpuUs(), ms: performance.now() }
  for (const site of [a, b]) {
    await site.untilLink(
      ({ lanes }) => lanes[0].availableBytes + lanes[1].availableBytes >= keys * KEY_BYTES,
    )
  }
  const came = (await keysInLanes(a)) - before.keys
  const seconds = (performance.now() - before.ms) / 1000
  const spentUs = cpuUs() - before.cpuUs
  for (const site of [a, b]) await site.untilAtRest()
  return { keys: came, seconds, cpuUsPerKey: spentUs / came }
}
