import { splitKeyId } from '../../../src/model/key-id.ts'
import { type Fetch, SITE_NAMES } from '../record.ts'
import {
  type Check,
  type Evidence,
  type Violation,
  answeredDraws,
  answeredFetches,
  breaking,
} from './evidence.ts'
import { mayBeRepeated, mustBeRepeated, requestOf, windowMsOf } from './redelivery.ts'

const p3 = breaking('P3')

/** P3, each once: again only the very same request, and the same answer, while its redelivery window is open. */
export const checkEachOnce: Check = (evidence) => [
  ...answersTwice(evidence),
  ...refusedInWindow(evidence),
  ...takenTwice(evidence),
]

const answersTwice = (evidence: Evidence): readonly Violation[] => {
  const first = new Map<string, Fetch>()
  const inOrder = answeredFetches(evidence).toSorted((a, b) => a.endedMs - b.endedMs)
  return inOrder.flatMap((fetch) =>
    fetch.keys.flatMap(({ keyId }) => {
      const name = `${fetch.saeId} ${keyId}`
      const known = first.get(name)
      if (!known) first.set(name, fetch)
      return !known || mayBeRepeated(evidence, known, fetch)
        ? []
        : [p3(`${fetch.saeId} got ${keyId} twice`)]
    }),
  )
}

/** Who has the answer asks for it once more, in time, and is told that there is none. */
const refusedInWindow = (evidence: Evidence): readonly Violation[] => {
  if (windowMsOf(evidence) === 0) return []
  const tries = Map.groupBy(evidence.fetches, requestOf)
  return [...tries.values()].flatMap((same) => {
    const open = same.find(({ outcome: { result } }) => result === 'answered' || result === 'lost')
    const answered = same.find(({ outcome: { result } }) => result === 'answered')
    if (!open || !answered) return []
    return same
      .filter(
        (again) =>
          again.outcome.result === 'refused' &&
          again.outcome.code === 'KEY_NOT_FOUND' &&
          again.startedMs >= answered.endedMs &&
          mustBeRepeated(evidence, open, again),
      )
      .map(({ saeId, keyIds }) =>
        p3(`${saeId} was refused in the window what it has: ${keyIds.join(' ')}`),
      )
  })
}

/** By the audit record: a key leaves its delivery once for each slave, and again only in a window. */
const takenTwice = (evidence: Evidence): readonly Violation[] => {
  const counts = new Map(
    answeredDraws(evidence).flatMap(({ keys }) =>
      keys.slice(0, 1).map(({ keyId }) => [deliveryOf(keyId), keys.length] as const),
    ),
  )
  return SITE_NAMES.flatMap((site) => {
    const { audit } = evidence.stores[site]
    const fetched = audit.filter(({ action }) => action === 'fetched')
    const taken = Map.groupBy(fetched, ({ deliveryId, saes }) => `${deliveryId} ${saes.join(' ')}`)
    const repeated = windowMsOf(evidence) > 0 ? [] : audit.filter(isRedelivered)
    return [
      ...repeated.map(({ deliveryId }) => p3(`${deliveryId} was given again, with no window`)),
      ...[...taken].flatMap(([name, rows]) => {
        const count = rows.reduce((sum, { keyCount }) => sum + keyCount, 0)
        const most = counts.get(rows[0]?.deliveryId ?? '') ?? Infinity
        return count <= most ? [] : [p3(`${site}: ${count} keys of ${most} were taken: ${name}`)]
      }),
    ]
  })
}

const isRedelivered = ({ action }: { readonly action: string }): boolean => action === 'redelivered'

const deliveryOf = (keyId: string): string => splitKeyId(keyId).deliveryId.toString('hex')
