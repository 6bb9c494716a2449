import { splitKeyId } from '../../../src/model/key-id.ts'
import type { Draw } from '../record.ts'
import { type Evidence, type Rule, isForgotten } from './evidence.ts'

/**
 * What `confirm: local` does not promise, and the checker does not ask for there. Everything else
 * is judged as with `confirm: peer`.
 */
export const LESS_WITH_LOCAL = {
  P4: 'slaves at the other KME never get what it had not heard of when a restore of either ended the epoch',
  P6: 'bits that only a store knew of which was copied back by hand may be issued again',
} as const satisfies Partial<Record<Rule, string>>

export type Local = keyof typeof LESS_WITH_LOCAL

/** The deliveries of that draw, which the KME of its slaves at the other site took over. */
const isHeldThere = ({ stores }: Evidence, draw: Draw): boolean => {
  const remote = draw.slaves.find(({ site }) => site !== draw.site)?.site
  if (remote === undefined) return false
  const ids = new Set(draw.keys.map(({ keyId }) => splitKeyId(keyId).deliveryId.toString('hex')))
  return stores[remote].audit.some(
    ({ action, deliveryId }) => action === 'held' && ids.has(deliveryId),
  )
}

const LESS: Readonly<Record<Local, (evidence: Evidence, draw: Draw) => boolean>> = {
  P4: ({ restores }, draw) => restores.some(({ agreedMs }) => draw.startedMs <= agreedMs),
  P6: (evidence, draw) => {
    const byHand = evidence.restores.filter(({ by }) => by === 'hand')
    return isForgotten({ ...evidence, restores: byHand }, draw.site, draw)
  },
}

/** Whether that promise does not hold for the keys of that draw, because its link is `confirm: local`. */
export const isNotPromised = (evidence: Evidence, rule: Local, draw: Draw): boolean =>
  evidence.terms.confirm === 'local' && LESS[rule](evidence, draw) && !isHeldThere(evidence, draw)
