import { performance } from 'node:perf_hooks'
import { Connections } from './connections.ts'
import type { Ground } from './ground.ts'
import type { CrowdMember } from './lab.ts'
import { type WireRequest, getKeyRequest } from './operations.ts'
import { percentile } from './statistics.ts'

/** Many SAEs that connect in the same moment, and each draws a key. */
export interface StormServed {
  /** Until the last of them had its answer. */
  readonly allServedMs: number
  readonly p50Ms: number
  readonly errors: number
  readonly firstError: string | null
}

export interface StormResult {
  readonly saes: number
  readonly kme: StormServed
  readonly bare: StormServed
}

const storm = async (
  crowd: readonly CrowdMember[],
  port: number,
  request: WireRequest,
): Promise<StormServed> => {
  const tookMs: number[] = []
  let errors = 0
  let firstError: string | null = null
  using connections = new DisposableStack()
  const each = crowd.map(({ tls }) => connections.use(new Connections(1, port, tls)))
  const startedMs = performance.now()
  const one = async (connection: Connections): Promise<void> => {
    try {
      await connection.exchange(request)
    } catch (error) {
      errors += 1
      firstError ??= error instanceof Error ? error.message : String(error)
    }
    tookMs.push(performance.now() - startedMs)
  }
  await Promise.all(each.map(one))
  return { allServedMs: Math.max(...tookMs), p50Ms: percentile(tookMs, 50), errors, firstError }
}

/** All connect, all are cut off, all connect again: the second time counts. */
export const measureStorm = async ({ lab }: Ground): Promise<StormResult> => {
  const { a, b, bare, crowd } = lab
  const request = getKeyRequest(b.saeId)
  const on = async (port: number): Promise<StormServed> => {
    await a.untilItCanDeliver(2 * crowd.length)
    await storm(crowd, port, request)
    return storm(crowd, port, request)
  }
  return { saes: crowd.length, bare: await on(bare.port), kme: await on(a.saePort) }
}
