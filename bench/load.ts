import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Connections } from './connections.ts'
import { cpuTimeUs } from './cpu-time.ts'
import type { WireRequest } from './operations.ts'
import { percentile } from './statistics.ts'

/** What one slice of load came to. Only requests answered inside its window count. */
export interface Slice {
  readonly seconds: number
  readonly requests: number
  readonly requestsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** CPU time per request of each server process, in the order given. */
  readonly cpuUsPerRequest: readonly number[]
  /** In the window and outside. */
  readonly errors: number
  readonly firstError: string | null
}

export interface SliceParts {
  readonly connections: Connections
  /** The next request, or null when there is none any more. */
  readonly next: () => WireRequest | null
  readonly leadInMs: number
  readonly windowMs: number
  /** Processes whose CPU time is counted. */
  readonly pids: readonly number[]
  readonly hertz: number
  readonly signal: AbortSignal
}

interface Samples {
  readonly endedMs: number[]
  readonly tookMs: number[]
  errors: number
  firstError: string | null
  stopped: boolean
}

/** An SAE that asks again as soon as it has its answer, as many as there are connections. */
const keepAsking = async (
  { connections, next, signal }: SliceParts,
  samples: Samples,
): Promise<void> => {
  while (!samples.stopped && !signal.aborted) {
    const request = next()
    if (request === null) return
    const startedMs = performance.now()
    try {
      await connections.exchange(request)
      const endedMs = performance.now()
      samples.endedMs.push(endedMs)
      samples.tookMs.push(endedMs - startedMs)
    } catch (error) {
      samples.errors += 1
      samples.firstError ??= error instanceof Error ? error.message : String(error)
      // A server that refuses at once would be asked without a pause.
      await sleep(10)
    }
  }
}

interface Reading {
  readonly atMs: number
  readonly cpuUs: readonly number[]
}

const read = ({ pids, hertz }: SliceParts): Reading => ({
  cpuUs: pids.map((pid) => cpuTimeUs(pid, hertz)),
  atMs: performance.now(),
})

/**
 * Closed-loop load from all connections: a lead-in that is discarded, then a window in which
 * everything is counted. The window ends early when the requests run out.
 */
export const runSlice = async (parts: SliceParts): Promise<Slice> => {
  const { connections, leadInMs, windowMs, signal } = parts
  const samples: Samples = { endedMs: [], tookMs: [], errors: 0, firstError: null, stopped: false }
  const workers = Array.from({ length: connections.count }, () => keepAsking(parts, samples))
  const ranOut = Promise.all(workers)
  try {
    await Promise.race([sleep(leadInMs, undefined, { signal }), ranOut])
    const begin = read(parts)
    await Promise.race([sleep(windowMs, undefined, { signal }), ranOut])
    const end = read(parts)
    samples.stopped = true
    await ranOut
    return sliceOf(samples, begin, end)
  } finally {
    samples.stopped = true
  }
}

const sliceOf = (samples: Samples, begin: Reading, end: Reading): Slice => {
  const tookMs = samples.tookMs.filter((_, i) => {
    const endedMs = samples.endedMs[i] ?? 0
    return endedMs > begin.atMs && endedMs <= end.atMs
  })
  const { errors } = samples
  if (tookMs.length === 0) {
    throw new Error(`no request was answered; ${samples.firstError ?? 'they ran out too soon'}`)
  }
  const seconds = (end.atMs - begin.atMs) / 1000
  const cpuUs = end.cpuUs.map((us, i) => us - (begin.cpuUs[i] ?? 0))
  return {
    seconds,
    requests: tookMs.length,
    requestsPerSecond: tookMs.length / seconds,
    p50Ms: percentile(tookMs, 50),
    p99Ms: percentile(tookMs, 99),
    maxMs: percentile(tookMs, 100),
    cpuUsPerRequest: cpuUs.map((us) => us / tookMs.length),
    errors,
    firstError: samples.firstError,
  }
}
