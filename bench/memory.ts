import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { wipe } from '../src/support/wipe.ts'
import type { Ground } from './ground.ts'
import { KEY_SIZE_BITS } from './operations.ts'
import type { MemoryReading } from './probe.ts'
import type { Site } from './site.ts'
import type { Pairing } from './supply.ts'

/** A KME that has nothing to do: as it is then, and when its garbage was collected. */
export interface MemoryMoment {
  readonly deliveries: number
  readonly asItIs: MemoryReading
  readonly collected: MemoryReading
}

export interface MemoryResult {
  readonly connections: number
  readonly deliveriesPerSecond: number
  readonly a: readonly MemoryMoment[]
  readonly b: readonly MemoryMoment[]
}

const CONNECTIONS_PER_KME = 64
/** Keys are fetched by so many, long before they expire. */
const KEYS_PER_FETCH = 16
/** The log of the store is written back within that time after the last commit. */
const IDLE_MS = 7_000

interface Delivering {
  left: number
}

/** An SAE that draws one key per call; its counterpart fetches some at a time. */
const deliverSome = async (
  { asked, other }: Pairing,
  delivering: Delivering,
  signal: AbortSignal,
): Promise<void> => {
  const keyIds: string[] = []
  const fetch = async (): Promise<void> => {
    const keys = await other.client.getKeysWithIds(asked.saeId, keyIds.splice(0))
    for (const { key } of keys) wipe(key)
  }
  while (delivering.left > 0 && !signal.aborted) {
    delivering.left -= 1
    for (const { key, key_ID } of await asked.client.getKey(other.saeId, { size: KEY_SIZE_BITS })) {
      wipe(key)
      keyIds.push(key_ID)
    }
    if (keyIds.length === KEYS_PER_FETCH) await fetch()
  }
  if (keyIds.length > 0) await fetch()
}

const deliver = async ({ lab, signal }: Ground, deliveries: number): Promise<void> => {
  const { a, b } = lab
  const pairings: readonly Pairing[] = [
    { asked: a, other: b },
    { asked: b, other: a },
  ]
  const perKme = pairings.map((pairing) => ({ pairing, delivering: { left: deliveries / 2 } }))
  await Promise.all(
    perKme.flatMap(({ pairing, delivering }) =>
      Array.from({ length: CONNECTIONS_PER_KME }, () => deliverSome(pairing, delivering, signal)),
    ),
  )
}

const momentOf = async ({ child }: Site, deliveries: number): Promise<MemoryMoment> => ({
  deliveries,
  asItIs: await child.memory('as-it-is'),
  collected: await child.memory('collected'),
})

/** Reads the memory of both KMEs whenever so many deliveries in all are reached; even numbers, rising. */
export const measureMemory = async (ground: Ground): Promise<MemoryResult> => {
  const { lab, pace, signal } = ground
  const moments: { a: MemoryMoment[]; b: MemoryMoment[] } = { a: [], b: [] }
  let done = 0
  let deliveringMs = 0
  for (const deliveries of pace.memoryAfterDeliveries) {
    const startedMs = performance.now()
    await deliver(ground, deliveries - done)
    deliveringMs += performance.now() - startedMs
    done = deliveries
    await sleep(IDLE_MS, undefined, { signal })
    moments.a.push(await momentOf(lab.a, deliveries))
    moments.b.push(await momentOf(lab.b, deliveries))
  }
  const deliveriesPerSecond = (done * 1000) / deliveringMs
  return { connections: 2 * CONNECTIONS_PER_KME, deliveriesPerSecond, ...moments }
}
