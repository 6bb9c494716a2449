/**
 * Loaded into a server before its own code; looks at its event loop and its memory when the benchmark
 * asks, and does nothing until then. Nothing of it is in the program that is published.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** `watch` begins to look at the loop, `stalls` ends it; `collect` is `memory` after garbage collection. */
export type ProbeRequest = 'watch' | 'stalls' | 'memory' | 'collect'

/** How much later than due a timer of one millisecond was, over the time that was watched. */
export interface StallReading {
  readonly longestMs: number
  readonly p999Ms: number
  readonly p99Ms: number
  /** How often the timer came. */
  readonly readings: number
}

export interface MemoryReading {
  readonly rssBytes: number
  readonly heapUsedBytes: number
  readonly externalBytes: number
}

export type ProbeAnswer = StallReading | MemoryReading | { readonly watching: true }

const RESOLUTION_MS = 1
const NS_PER_MS = 1e6
/** What only a second collection finds: what weak references and finalizers let go. */
const COLLECTIONS = 2

const loop = monitorEventLoopDelay({ resolution: RESOLUTION_MS })

const late = (ns: number): number => Math.max(0, ns / NS_PER_MS - RESOLUTION_MS)

const stalls = (): StallReading => {
  loop.disable()
  return {
    longestMs: late(loop.max),
    p999Ms: late(loop.percentile(99.9)),
    p99Ms: late(loop.percentile(99)),
    readings: loop.count,
  }
}

const collect = (): void => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  for (let i = 0; i < COLLECTIONS; i += 1) gc()
}

const memory = (): MemoryReading => {
  const { rss, heapUsed, external } = process.memoryUsage()
  return { rssBytes: rss, heapUsedBytes: heapUsed, externalBytes: external }
}

const answer = (request: ProbeRequest): ProbeAnswer => {
  switch (request) {
    case 'watch':
      loop.reset()
      loop.enable()
      return { watching: true }
    case 'stalls':
      return stalls()
    case 'collect':
      collect()
      return memory()
    case 'memory':
      return memory()
  }
}

process.on('message', (request: ProbeRequest) => {
  process.send?.(answer(request))
})
// The channel alone keeps no process running.
process.channel?.unref()
