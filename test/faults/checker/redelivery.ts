import type { Fetch } from '../record.ts'
import type { Evidence } from './evidence.ts'

const MS_PER_S = 1000
/** A window that is over may begin anew at a start, until the answer is erased. */
const ERASED_WITHIN_MS = 6_000

export const windowMsOf = ({ terms }: Evidence): number => terms.redeliveryWindowS * MS_PER_S

/** The very same request: nothing else gets the answer again. */
export const requestOf = ({ site, saeId, masterId, keyIds }: Fetch): string =>
  [site, saeId, masterId, ...keyIds].join(' ')

/** The last moment at which the answer to that request can be had again: each start begins its window anew. */
const latestEndMs = (evidence: Evidence, { site, startedMs, endedMs }: Fetch): number => {
  const windowMs = windowMsOf(evidence)
  return evidence.starts
    .filter((start) => start.site === site && start.readyMs >= startedMs)
    .reduce(
      (endMs, { launchedMs, readyMs }) =>
        launchedMs <= endMs + ERASED_WITHIN_MS ? Math.max(endMs, readyMs + windowMs) : endMs,
      endedMs + windowMs,
    )
}

/** Whether an answer to `again` may be that to `first` once more. */
export const mayBeRepeated = (evidence: Evidence, first: Fetch, again: Fetch): boolean =>
  windowMsOf(evidence) > 0 &&
  requestOf(first) === requestOf(again) &&
  again.startedMs <= latestEndMs(evidence, first)

/**
 * Whether the answer must be had again, for `tried` was answered, or its answer was lost, and the
 * window was open for all of `again`.
 */
export const mustBeRepeated = (evidence: Evidence, tried: Fetch, again: Fetch): boolean =>
  requestOf(tried) === requestOf(again) &&
  again.startedMs >= tried.endedMs &&
  again.endedMs <= tried.startedMs + windowMsOf(evidence) &&
  !evidence.restores.some(
    ({ site, resumedMs }) =>
      site === again.site && resumedMs >= tried.startedMs && resumedMs <= again.endedMs,
  )
