import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CaseResult } from './cases.ts'
import type { Connections } from './connections.ts'
import type { Ground } from './ground.ts'
import type { OperationName } from './operations.ts'
import { median, percentile } from './statistics.ts'
import type { NextRequest } from './supply.ts'
import { Turns } from './turns.ts'

/** Latency counts from when a request was due, whether or not the ones before had their answers. */
export interface OpenLoopLatency {
  readonly ratePerSecond: number
  readonly requests: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly maxMs: number
  /** How late the load generator itself sent, within the above: at the 99th percentile. */
  readonly sentLateP99Ms: number
  readonly errors: number
  readonly firstError: string | null
}

/** Both servers at the same share of what each of them can do. */
export interface OpenLoopResult {
  readonly operation: OperationName
  readonly connections: number
  readonly kme: OpenLoopLatency
  readonly bare: OpenLoopLatency
}

export interface Schedule {
  readonly exchange: Connections['exchange']
  readonly next: NextRequest
  readonly ratePerSecond: number
  readonly windowMs: number
  readonly leadInMs: number
  readonly signal: AbortSignal
}

export interface OpenLoopSamples {
  readonly tookMs: number[]
  readonly sentLateMs: number[]
  errors: number
  firstError: string | null
}

export const noSamples = (): OpenLoopSamples => ({
  tookMs: [],
  sentLateMs: [],
  errors: 0,
  firstError: null,
})

/** Sends a request whenever one is due, evenly spaced, and adds what those after the lead-in took. */
export const runSchedule = async (schedule: Schedule, samples: OpenLoopSamples): Promise<void> => {
  const { ratePerSecond, windowMs, leadInMs, next, signal } = schedule
  const startMs = performance.now()
  const underWay: Promise<void>[] = []
  for (let i = 0; ; i += 1) {
    const afterMs = (i * 1000) / ratePerSecond
    if (afterMs >= leadInMs + windowMs) break
    const dueMs = startMs + afterMs
    const waitMs = dueMs - performance.now()
    if (waitMs > 0) await sleep(Math.ceil(waitMs), undefined, { signal })
    const request = next()
    if (request === null) throw new Error('the requests of a schedule ran out')
    const sentMs = performance.now()
    const answered = schedule.exchange(request).then(
      () => {
        if (afterMs < leadInMs) return
        samples.tookMs.push(performance.now() - dueMs)
        // A timer may be a fraction of a millisecond early.
        samples.sentLateMs.push(Math.max(0, sentMs - dueMs))
      },
      (error: unknown) => {
        samples.errors += 1
        samples.firstError ??= error instanceof Error ? error.message : String(error)
      },
    )
    underWay.push(answered)
  }
  await Promise.all(underWay)
}

export const latencyOf = (ratePerSecond: number, samples: OpenLoopSamples): OpenLoopLatency => {
  const { tookMs, sentLateMs, errors, firstError } = samples
  if (tookMs.length === 0) throw new Error(`no request was answered; ${firstError ?? ''}`)
  return {
    ratePerSecond,
    requests: tookMs.length,
    p50Ms: percentile(tookMs, 50),
    p99Ms: percentile(tookMs, 99),
    p999Ms: percentile(tookMs, 99.9),
    maxMs: percentile(tookMs, 100),
    sentLateP99Ms: percentile(sentLateMs, 99),
    errors,
    firstError,
  }
}

const SHARE_OF_CAPACITY = 0.5
const WINDOWS = 2

/** `capacity` is what the closed loop found at so many connections. */
export const measureOpenLoop = async (
  ground: Ground,
  capacity: CaseResult,
): Promise<OpenLoopResult> => {
  const { operation, connections } = capacity
  const { leadInMs, openLoopMs, warmUpMs } = ground.pace
  const { signal, supply } = ground
  const half = (slices: CaseResult['bare']): number =>
    SHARE_OF_CAPACITY * median(slices.map(({ requestsPerSecond }) => requestsPerSecond))
  const kmeRate = half(capacity.kme)
  const bareRate = half(capacity.bare)
  using turns = new Turns(ground, { operation, keysPerCall: 1 }, connections)
  await turns.warmUp(warmUpMs)
  const kme = noSamples()
  const bare = noSamples()
  const windowMs = openLoopMs / WINDOWS
  const calls = Math.ceil((kmeRate * (leadInMs + windowMs)) / 1000) + 1
  const run = (to: Connections, next: NextRequest, ratePerSecond: number, into: OpenLoopSamples) =>
    runSchedule(
      {
        exchange: (request) => to.exchange(request),
        ...{ next, ratePerSecond, windowMs, leadInMs, signal },
      },
      into,
    )
  for (let round = 0; round < WINDOWS; round += 1) {
    const request = turns.bareRequest()
    await run(turns.toBare, () => request, bareRate, bare)
    const direction = turns.direction(round)
    const next = await supply.requests(direction, turns.call, calls)
    await run(direction.connections, next, kmeRate, kme)
  }
  const result = { kme: latencyOf(kmeRate, kme), bare: latencyOf(bareRate, bare) }
  return { operation, connections, ...result }
}
