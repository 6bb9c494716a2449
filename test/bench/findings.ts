import type { CaseResult } from '../../bench/cases.ts'
import type { Slice } from '../../bench/load.ts'
import type { MemoryMoment } from '../../bench/memory.ts'
import type { StallReading } from '../../bench/probe.ts'
import { type Findings, type Results, nothingFound } from '../../bench/results.ts'
import type { StallOccasion, StallResult } from '../../bench/stalls.ts'
import type { KmeSlice } from '../../bench/turns.ts'

/** Findings as a run makes them, of round figures. */

export const slice = (
  requestsPerSecond: number,
  cpuUsPerRequest: number[],
  more?: Partial<Slice>,
): Slice => ({
  seconds: 1,
  requests: requestsPerSecond,
  requestsPerSecond,
  p50Ms: 1000 / requestsPerSecond,
  p99Ms: 2000 / requestsPerSecond,
  maxMs: 3000 / requestsPerSecond,
  cpuUsPerRequest,
  errors: 0,
  firstError: null,
  ...more,
})

export const ofKme = (asked: string, one: Slice): KmeSlice => ({ asked, ...one })

export const caseResult = (more?: Partial<CaseResult>): CaseResult => ({
  operation: 'get-key',
  connections: 16,
  kme: [
    ofKme('kme-a', slice(100, [300, 100])),
    ofKme('kme-b', slice(300, [100, 60])),
    ofKme('kme-a', slice(200, [200, 80])),
  ],
  bare: [slice(1000, [50]), slice(1000, [70]), slice(400, [60])],
  fsyncMs: [0.4, 0.5, 0.6],
  ...more,
})

const MIB = 2 ** 20

const moment = (deliveries: number, residentMiB: number): MemoryMoment => {
  const reading = { rssBytes: residentMiB * MIB, heapUsedBytes: MIB, externalBytes: MIB }
  return { deliveries, asItIs: { ...reading, rssBytes: 2 * residentMiB * MIB }, collected: reading }
}

const stalls = (longestMs: number): StallReading => ({
  longestMs,
  p999Ms: longestMs / 2,
  p99Ms: longestMs / 4,
  readings: 1000,
})

export const stallsOf = (during: StallOccasion, a: number, b: number): StallResult => ({
  during,
  a: stalls(a),
  b: stalls(b),
  bare: stalls(1),
})

const latency = (ratePerSecond: number, p50Ms: number) => ({
  ratePerSecond,
  requests: 1000,
  p50Ms,
  p99Ms: 2 * p50Ms,
  p999Ms: 3 * p50Ms,
  maxMs: 4 * p50Ms,
  sentLateP99Ms: 1,
  errors: 0,
  firstError: null,
})

const served = (allServedMs: number) => ({ allServedMs, p50Ms: 1000, errors: 0, firstError: null })

/** As if everything had been measured, every budget met. */
export const everythingMet = (): Findings => {
  const fast = { kme: [ofKme('kme-a', slice(900, [60, 40]))], bare: [slice(1000, [80])] }
  const at = (operation: CaseResult['operation'], connections: number): CaseResult =>
    caseResult({ ...fast, operation, connections })
  return {
    ...nothingFound(),
    cases: (['get-key', 'get-key-with-ids'] as const).flatMap((operation) =>
      [1, 16, 64].map((connections) => at(operation, connections)),
    ),
    manyKeys: {
      connections: 64,
      keysPerCall: 128,
      one: [ofKme('kme-a', slice(1000, [1, 1]))],
      many: [ofKme('kme-a', slice(500, [1, 1]))],
    },
    openLoop: [
      {
        operation: 'get-key',
        connections: 64,
        kme: latency(450, 2),
        bare: latency(500, 1),
      },
    ],
    handshakes: { connections: 8, kme: [slice(300, [3000])], bare: [slice(300, [2900])] },
    storm: { saes: 1000, kme: served(4000), bare: served(2000) },
    intake: [{ keys: 1000, seconds: 2, cpuUsPerKey: 3 }],
    pool: {
      fewKeys: 10_000,
      manyKeys: 10_000_000,
      few: [ofKme('kme-a', slice(1000, [1, 1]))],
      many: [ofKme('kme-a', slice(900, [1, 1]))],
    },
    start: {
      fewKeys: 10_000,
      manyKeys: 10_000_000,
      few: [{ readyMs: 400, firstKeyMs: 500 }],
      many: [{ readyMs: 900, firstKeyMs: 1000 }],
    },
    memory: {
      connections: 128,
      deliveriesPerSecond: 4000,
      a: [moment(100_000, 100), moment(1_000_000, 105)],
      b: [moment(100_000, 100), moment(1_000_000, 110)],
    },
    simulator: {
      secretKeyRateBps: 6000,
      keyBits: 6e8,
      seconds: 2,
      cpuSeconds: 2,
      timesRealTime: 50_000,
    },
    stalls: [
      stallsOf('checkpoints', 10, 20),
      stallsOf('verification', 5, 6),
      stallsOf('erasure', 7, 8),
    ],
  }
}

export const resultsOf = (found: Findings): Results => ({
  startedAt: '2026-11-25T10:00:00.000Z',
  seconds: 1234.5,
  command: 'npm run bench',
  machine: {
    cpuModel: 'CPU',
    cores: 2,
    memoryGiB: 24,
    platform: 'linux x64',
    kernel: '6',
    node: '24',
    openssl: '3',
    sqlite: '3',
    fsyncMs: 0.5,
  },
  ...found,
})
