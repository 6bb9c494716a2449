import { type Check, type Evidence, type Violation, answeredDraws, breaking } from './evidence.ts'
import type { Draw, Fetch, SlaveNamed } from '../record.ts'
import { isNotPromised } from './local-confirm.ts'
import { mustBeRepeated } from './redelivery.ts'

const p4 = breaking('P4')

/**
 * P4: what a master received, each slave can fetch. A fetch whose answer was lost counts as fetched
 * unless it was asked for again in the redelivery window,
 * and so does one that was refused while nobody could know what the store had taken; what was drawn
 * before a restore of the slave's KME is not promised.
 */
export const checkEverySlaveCan: Check = (evidence) => {
  const tries = triesByKey(evidence)
  return answeredDraws(evidence).flatMap((draw) =>
    draw.slaves
      .filter((slave) => isPromised(evidence, draw, slave))
      .flatMap((slave) =>
        draw.keys.flatMap(({ keyId }) =>
          problemOf(evidence, tries.get(`${slave.saeId} ${keyId}`) ?? []).map((what): Violation =>
            p4(`${slave.saeId} ${what} ${keyId}`),
          ),
        ),
      ),
  )
}

const triesByKey = ({ fetches }: Evidence): ReadonlyMap<string, readonly Fetch[]> => {
  const tries = new Map<string, Fetch[]>()
  for (const fetch of fetches) {
    for (const keyId of fetch.keyIds) {
      const name = `${fetch.saeId} ${keyId}`
      const known = tries.get(name)
      if (known) known.push(fetch)
      else tries.set(name, [fetch])
    }
  }
  return tries
}

const isPromised = (evidence: Evidence, draw: Draw, slave: SlaveNamed): boolean =>
  !evidence.restores.some(
    ({ site, resumedMs }) => site === slave.site && draw.startedMs <= resumedMs,
  ) &&
  (slave.site === draw.site || !isNotPromised(evidence, 'P4', draw))

const isInDoubt = ({ doubts }: Evidence, { site, startedMs, endedMs }: Fetch): boolean =>
  doubts.some((doubt) => doubt.site === site && startedMs <= doubt.toMs && endedMs >= doubt.fromMs)

/** Refusals that say "later": 503. */
const PASSING = new Set(['NOT_READY'])

const problemOf = (evidence: Evidence, tries: readonly Fetch[]): readonly string[] => {
  let lost: Fetch | null = null
  for (const fetch of tries) {
    const { outcome } = fetch
    if (outcome.result === 'answered') return []
    if (outcome.result === 'lost') lost ??= fetch
    if (outcome.result !== 'refused') continue
    if (isInDoubt(evidence, fetch)) return []
    if (PASSING.has(outcome.code)) continue
    if (!lost) return [`was refused (${outcome.code}) when it asked for`]
    return mustBeRepeated(evidence, lost, fetch)
      ? ['lost the answer and was refused it in the redelivery window:']
      : []
  }
  if (lost) return []
  return [tries.length === 0 ? 'never asked for' : 'never got an answer for']
}
