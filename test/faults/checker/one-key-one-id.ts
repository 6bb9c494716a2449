import { type Check, type Evidence, type Violation, answeredDraws, breaking } from './evidence.ts'
import type { Draw, Restore } from '../record.ts'
import { isNotPromised } from './local-confirm.ts'

interface Drawn {
  readonly keyId: string
  readonly fingerprint: string
  readonly draw: Draw
}

const p1 = breaking('P1')
const p6 = breaking('P6')

const drawnKeys = (evidence: Evidence): readonly Drawn[] =>
  answeredDraws(evidence).flatMap((draw) =>
    draw.keys.map(({ keyId, fingerprint }) => ({ keyId, fingerprint, draw })),
  )

/** P1 and P6: no bytes under two key IDs, no key ID twice; across a restore that is P6. */
export const checkIssuedOnce: Check = (evidence) => {
  const drawn = drawnKeys(evidence)
  return [...keyIdsTwice(evidence, drawn), ...bytesTwice(evidence, drawn)]
}

const isAcross = ({ resumedMs }: Restore, one: Draw, other: Draw): boolean =>
  Math.min(one.endedMs, other.endedMs) < resumedMs &&
  Math.max(one.startedMs, other.startedMs) >= resumedMs

const violationsOf = (
  evidence: Evidence,
  one: Drawn,
  other: Drawn,
  what: string,
): readonly Violation[] => {
  const across = evidence.restores.some((restore) => isAcross(restore, one.draw, other.draw))
  const message = `${what}: ${one.keyId} and ${other.keyId}`
  if (!across) return [p1(message)]
  const [earlier] = [one.draw, other.draw].toSorted((a, b) => a.startedMs - b.startedMs)
  return isNotPromised(evidence, 'P6', earlier ?? one.draw) ? [] : [p6(message)]
}

const keyIdsTwice = (evidence: Evidence, drawn: readonly Drawn[]): readonly Violation[] => {
  const first = new Map<string, Drawn>()
  return drawn.flatMap((key) => {
    const known = first.get(key.keyId)
    if (!known) first.set(key.keyId, key)
    return known ? violationsOf(evidence, known, key, 'a key ID was issued twice') : []
  })
}

const bytesTwice = (evidence: Evidence, drawn: readonly Drawn[]): readonly Violation[] => {
  const byFingerprint = Map.groupBy(drawn, ({ fingerprint }) => fingerprint)
  const whole = [...byFingerprint.values()].flatMap(([first, ...others]) =>
    others
      .filter(({ keyId }) => keyId !== first?.keyId)
      .flatMap((other) =>
        violationsOf(evidence, first ?? other, other, 'the same bytes in two keys'),
      ),
  )
  return [...whole, ...overlaps(evidence, byFingerprint)]
}

/** Parts of keys: windows that are in more than one, or twice in one. */
const overlaps = (
  evidence: Evidence,
  byFingerprint: ReadonlyMap<string, readonly Drawn[]>,
): readonly Violation[] => {
  const repeated = repeatedWindows(evidence.windows)
  if (repeated.size === 0) return []
  const owners = new Map<bigint, string[]>()
  for (const [fingerprint, windows] of evidence.windows) {
    for (const window of windows) {
      if (!repeated.has(window)) continue
      owners.set(window, [...(owners.get(window) ?? []), fingerprint])
    }
  }
  const pairs = new Set([...owners.values()].map((found) => found.slice(0, 2).join(' ')))
  return [...pairs].flatMap((pair) => {
    const [one = '', other = ''] = pair.split(' ')
    const [first] = byFingerprint.get(one) ?? []
    const [second] = byFingerprint.get(other) ?? []
    if (first && second) return violationsOf(evidence, first, second, '8 bytes or more in two keys')
    return [p1(`bytes of ${(first ?? second)?.keyId ?? 'a key'} were seen in another answer`)]
  })
}

const repeatedWindows = (windows: Evidence['windows']): ReadonlySet<bigint> => {
  const count = [...windows.values()].reduce((sum, { length }) => sum + length, 0)
  const all = new BigUint64Array(count)
  let next = 0
  for (const some of windows.values()) {
    all.set(some, next)
    next += some.length
  }
  all.sort()
  return new Set(all.filter((window, i) => i > 0 && all[i - 1] === window))
}
