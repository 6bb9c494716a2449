/**
 * Where the time of a CPU profile went, functions of the program by their own time and by the time
 * with all that they call: `node bench/profile.ts FILE.cpuprofile [LAST_SECONDS]`. Waiting for the
 * disk in a synchronous call counts as time; waiting for events does not.
 */
import { readFileSync } from 'node:fs'

interface ProfileNode {
  readonly id: number
  readonly callFrame: {
    readonly functionName: string
    readonly url: string
    readonly lineNumber: number
  }
  readonly children?: readonly number[]
}

interface CpuProfile {
  readonly nodes: readonly ProfileNode[]
  readonly samples: readonly number[]
  /** Microseconds between a sample and the one before. */
  readonly timeDeltas: readonly number[]
}

const SHOWN = 30

const nameOf = ({ callFrame }: ProfileNode): string => {
  const { functionName, url, lineNumber } = callFrame
  const file = url.replace(/^.*\/(?=(src|node_modules)\/)/, '')
  return `${functionName || '(anonymous)'} ${file}:${String(lineNumber + 1)}`
}

const add = (sums: Map<string, number>, name: string, us: number): void => {
  sums.set(name, (sums.get(name) ?? 0) + us)
}

/** Own time by node, of the last samples. */
const ownTimes = ({ samples, timeDeltas }: CpuProfile, lastUs: number): Map<number, number> => {
  const own = new Map<number, number>()
  let backUs = 0
  for (let i = samples.length - 1; i >= 0 && backUs < lastUs; i -= 1) {
    const us = timeDeltas[i] ?? 0
    const id = samples[i] ?? 0
    backUs += us
    own.set(id, (own.get(id) ?? 0) + us)
  }
  return own
}

const sumUp = (profile: CpuProfile, lastUs: number) => {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
  const callers = new Map(
    profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])),
  )
  const own = new Map<string, number>()
  const whole = new Map<string, number>()
  let busyUs = 0
  for (const [id, us] of ownTimes(profile, lastUs)) {
    const node = nodes.get(id)
    if (!node || node.callFrame.functionName === '(idle)') continue
    busyUs += us
    add(own, nameOf(node), us)
    const names = new Set<string>()
    for (let at: number | undefined = id; at !== undefined; at = callers.get(at)) {
      const caller = nodes.get(at)
      if (caller) names.add(nameOf(caller))
    }
    for (const name of names) add(whole, name, us)
  }
  return { own, whole, busyUs }
}

const show = (title: string, sums: Map<string, number>, busyUs: number): string =>
  [
    title,
    ...[...sums]
      .sort(([, a], [, b]) => b - a)
      .slice(0, SHOWN)
      .map(([name, us]) => `${((us / busyUs) * 100).toFixed(1).padStart(6)} %  ${name}`),
  ].join('\n')

const [file, seconds = 'Infinity'] = process.argv.slice(2)
if (file === undefined) {
  process.stderr.write('node bench/profile.ts FILE.cpuprofile [LAST_SECONDS]\n')
  process.exitCode = 2
} else {
  const profile = JSON.parse(readFileSync(file, 'utf8')) as CpuProfile
  const { own, whole, busyUs } = sumUp(profile, Number(seconds) * 1e6)
  process.stdout.write(
    [
      `busy for ${(busyUs / 1e6).toFixed(2)} s`,
      show('own time', own, busyUs),
      show('with all that it calls', whole, busyUs),
      '',
    ].join('\n\n'),
  )
}
