import type { AuditEntry } from '../../../src/ports/audit.ts'
import { splitKeyId } from '../../../src/model/key-id.ts'
import {
  type Check,
  type Evidence,
  type Violation,
  answeredDraws,
  answeredFetches,
  breaking,
  isForgotten,
} from './evidence.ts'
import { isNotPromised } from './local-confirm.ts'
import type { Draw, SiteName } from '../record.ts'

const p5 = breaking('P5')

const deliveryOf = (keyId: string): string => splitKeyId(keyId).deliveryId.toString('hex')

/** The rows of one action, by delivery. */
class Rows {
  readonly #rows: ReadonlyMap<string, readonly AuditEntry[]>

  constructor(audit: readonly AuditEntry[]) {
    this.#rows = Map.groupBy(audit, ({ action, deliveryId }) => `${action} ${deliveryId}`)
  }

  of(action: AuditEntry['action'], deliveryId: string): readonly AuditEntry[] {
    return this.#rows.get(`${action} ${deliveryId}`) ?? []
  }
}

type Books = Readonly<Record<SiteName, Rows>>

/**
 * P5: whatever a client has an answer of is in the store that answered, and a delivery with slaves
 * at the other site is in the store there: durable before the answer, it outlived each crash.
 */
export const checkDurableFirst: Check = (evidence) => {
  const books: Books = {
    a: new Rows(evidence.stores.a.audit),
    b: new Rows(evidence.stores.b.audit),
  }
  return [
    ...answeredDraws(evidence).flatMap((draw) => drawProblems(evidence, books, draw)),
    ...fetchProblems(evidence, books),
  ]
}

const drawProblems = (evidence: Evidence, books: Books, draw: Draw): readonly Violation[] => {
  const deliveries = new Set(draw.keys.map(({ keyId }) => deliveryOf(keyId)))
  if (deliveries.size !== 1)
    return [p5(`an answer to ${draw.masterId} of ${deliveries.size} deliveries`)]
  const deliveryId = [...deliveries].join('')
  const remote = draw.slaves.find(({ site }) => site !== draw.site)?.site
  const own = isForgotten(evidence, draw.site, draw) ? [] : ownProblems(books, draw, deliveryId)
  // With `confirm: local` the answer does not depend on that commit: what P4 waives is not there.
  const isWaived =
    remote === undefined ||
    isForgotten(evidence, remote, draw) ||
    isNotPromised(evidence, 'P4', draw)
  return isWaived || books[remote].of('held', deliveryId).length === 1
    ? own
    : [...own, p5(`${deliveryId}: delivered at ${draw.site}, not in the store of ${remote}`)]
}

const ownProblems = (books: Books, draw: Draw, deliveryId: string): readonly Violation[] => {
  const [row, ...more] = books[draw.site].of('delivered', deliveryId)
  if (!row) return [p5(`${deliveryId}: answered, but not in the audit of ${draw.site}`)]
  const named = draw.slaves
    .map(({ saeId }) => saeId)
    .sort()
    .join(' ')
  const isTrue =
    row.keyCount === draw.keys.length &&
    row.master === draw.masterId &&
    [...row.saes].sort().join(' ') === named
  return [
    ...(more.length > 0 ? [p5(`${deliveryId}: ${more.length + 1} times in the audit`)] : []),
    ...(isTrue ? [] : [p5(`${deliveryId}: the audit says something else than the answer`)]),
  ]
}

/** Each answer has its row: the first `fetched`, those in the redelivery window `redelivered`. */
const fetchProblems = (evidence: Evidence, books: Books): readonly Violation[] => {
  const answers = answeredFetches(evidence)
    .filter((fetch) => !isForgotten(evidence, fetch.site, fetch))
    .flatMap(({ site, saeId, keys }) => keys.map(({ keyId }) => ({ site, saeId, keyId })))
  const byName = Map.groupBy(
    answers,
    ({ site, saeId, keyId }) => `${site} ${saeId} ${deliveryOf(keyId)}`,
  )
  return [...byName.values()].flatMap((given) => {
    const [{ site, saeId, keyId } = { site: 'a' as SiteName, saeId: '', keyId: '' }] = given
    const deliveryId = deliveryOf(keyId)
    const rows = [
      ...books[site].of('fetched', deliveryId),
      ...books[site].of('redelivered', deliveryId),
    ].filter(({ saes }) => saes.includes(saeId))
    const count = rows.reduce((sum, { keyCount }) => sum + keyCount, 0)
    return count >= given.length
      ? []
      : [p5(`${deliveryId}: ${saeId} has ${given.length} keys, the audit of ${site} says ${count}`)]
  })
}
