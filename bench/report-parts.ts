import { cpuUsOf, middle, threeFigures } from './figures.ts'
import type { MemoryMoment } from './memory.ts'
import type { StallReading } from './probe.ts'
import type { Results } from './results.ts'
import { median } from './statistics.ts'
import type { StallOccasion } from './stalls.ts'
import { table } from './table.ts'

const MIB = 2 ** 20
const mib = (bytes: number): string => (bytes / MIB).toFixed(0)
const ms = (value: number): string => `${threeFigures(value)} ms`
const seconds = (valueMs: number): string => `${threeFigures(valueMs / 1000)} s`
const whole = (value: number): string => value.toLocaleString('en')

const manyKeysText = ({ manyKeys }: Results): string | null => {
  if (!manyKeys) return null
  const { one, many, keysPerCall, connections } = manyKeys
  const calls = (slices: typeof one): number =>
    middle(slices, ({ requestsPerSecond }) => requestsPerSecond)
  return `**Many keys per call**, ${String(connections)} connections: ${whole(Math.round(calls(one)))} keys/s with 1 key per call, ${whole(Math.round(calls(many) * keysPerCall))} keys/s with ${String(keysPerCall)}; p50 ${ms(middle(one, (s) => s.p50Ms))} and ${ms(middle(many, (s) => s.p50Ms))} per call.`
}

const handshakeText = ({ handshakes }: Results): string | null => {
  if (!handshakes) return null
  const { kme, bare } = handshakes
  return `**Handshakes**, full mutual TLS 1.3 with one request each: ${threeFigures(middle(kme, cpuUsOf))} µs of CPU time at the KME, ${threeFigures(middle(bare, cpuUsOf))} µs at the bare server.`
}

const stormText = ({ storm }: Results): string | null => {
  if (!storm) return null
  const { saes, kme, bare } = storm
  const errors = kme.errors === 0 ? '' : ` (${String(kme.errors)} were not served)`
  return `**${whole(saes)} SAEs, each with its own certificate, connect again at once** and draw a key: all are served after ${seconds(kme.allServedMs)}, half of them after ${seconds(kme.p50Ms)}${errors}; the bare server answers all after ${seconds(bare.allServedMs)}.`
}

const poolText = ({ pool }: Results): string | null => {
  if (!pool) return null
  const p50 = (slices: typeof pool.few): string => ms(middle(slices, ({ p50Ms }) => p50Ms))
  return `**Keys in the lanes**: p50 of *Get key* at 1 connection is ${p50(pool.few)} with ${whole(pool.fewKeys)} keys in both lanes, ${p50(pool.many)} with ${whole(pool.manyKeys)}.`
}

const startText = ({ start }: Results): string | null => {
  if (!start) return null
  const of = (times: typeof start.few): string =>
    `${seconds(median(times.map(({ readyMs }) => readyMs)))} until it says that it is ready, ${seconds(median(times.map(({ firstKeyMs }) => firstKeyMs)))} until an SAE has a key`
  return `**Start** of a KME whose peer is up: with ${whole(start.fewKeys)} keys in the lanes ${of(start.few)}; with ${whole(start.manyKeys)} ${of(start.many)}.`
}

const memoryRow = (kme: string, { deliveries, asItIs, collected }: MemoryMoment) => [
  kme,
  whole(deliveries),
  mib(asItIs.rssBytes),
  mib(collected.rssBytes),
  mib(collected.heapUsedBytes),
  mib(collected.externalBytes),
]

const memoryText = ({ memory }: Results): string | null => {
  if (!memory) return null
  const head = ['KME', 'deliveries', 'resident, MiB', 'after collection', 'heap', 'outside of it']
  const rows = [
    ...memory.a.map((moment) => memoryRow('a', moment)),
    ...memory.b.map((moment) => memoryRow('b', moment)),
  ]
  return `**Memory** of a KME at rest, before and after its garbage was collected; every key was fetched (${threeFigures(memory.deliveriesPerSecond)} deliveries/s over ${String(memory.connections)} connections):\n\n${table(head, rows)}`
}

const OCCASIONS = {
  checkpoints: 'load at 64 connections, the log of the store written back meanwhile',
  verification: 'blocks of 1 MiB stored, proven equal and appended as fast as they come',
  erasure: 'deliveries of 128 keys that nobody fetched expire',
} as const satisfies Record<StallOccasion, string>

const reading = ({ longestMs, p999Ms }: StallReading): string =>
  `${threeFigures(longestMs)} / ${threeFigures(p999Ms)}`

const stallsText = ({ stalls }: Results): string | null => {
  if (stalls.length === 0) return null
  const head = ['during', 'KME a', 'KME b', 'bare server']
  const rows = stalls.map(({ during, a, b, bare }) => [
    `${during}: ${OCCASIONS[during]}`,
    ...[a, b, bare].map(reading),
  ])
  return `**Stalls of the event loop**, longest / 99.9th percentile in ms. The bare server has the same load beside the checkpoints, and nothing to do otherwise: its figures are what the machine makes of it.\n\n${table(head, rows)}`
}

const simulatorText = ({ simulator }: Results): string | null => {
  if (!simulator) return null
  const { secretKeyRateBps, keyBits, cpuSeconds, timesRealTime } = simulator
  const kbps = threeFigures(secretKeyRateBps / 1000)
  return `**Simulator**, a link of ${kbps} kb/s: both ends made ${whole(Math.round(keyBits / secretKeyRateBps))} s of its key in ${threeFigures(cpuSeconds)} s of CPU time, ${whole(Math.round(timesRealTime))} times real time.`
}

const intakeText = ({ intake }: Results): string | null => {
  if (intake.length === 0) return null
  const each = intake.map(
    ({ keys, seconds: took, cpuUsPerKey }) =>
      `${whole(keys)} keys of 256 bit in ${threeFigures(took)} s, ${threeFigures(cpuUsPerKey)} µs of CPU time each`,
  )
  return `**Intake** from the simulated device into the lanes, both KMEs and both ends of the simulator together: ${each.join('; ')}.`
}

/** A paragraph for each part that was measured. */
export const otherFindings = (results: Results): readonly string[] => {
  const texts = [
    manyKeysText,
    handshakeText,
    stormText,
    poolText,
    startText,
    memoryText,
    stallsText,
    simulatorText,
    intakeText,
  ].flatMap((textOf) => textOf(results) ?? [])
  return texts.length === 0 ? [] : ['### Everything else', ...texts]
}
