import { EMPTY_RECORD, verifyChain } from '../../../src/audit/chain.ts'
import { LANE_NAMES } from '../../../src/model/lane.ts'
import { ledgerDifference } from '../../../src/model/ledger.ts'
import {
  type Check,
  type Evidence,
  type StoreFacts,
  type Violation,
  answeredDraws,
  breaking,
} from './evidence.ts'
import { SITE_NAMES } from '../record.ts'

const p8 = breaking('P8')
const store = breaking('store')

const say = (value: unknown): string => JSON.stringify(value)

/** P8: the ledger of each end adds up, its counters are what its rows hold, and both have the same lanes. */
export const checkBooksBalance: Check = (evidence) => [
  ...SITE_NAMES.flatMap((site) => ledgerProblems(site, evidence.stores[site])),
  ...differences(evidence.stores.a, evidence.stores.b),
  ...undelivered(evidence),
]

const ledgerProblems = (site: string, { ledger, recount, ...facts }: StoreFacts) => {
  const difference = ledgerDifference(ledger)
  const wrong = Object.entries(recount).filter(
    ([state, bytes]) => ledger.bytes[state as keyof typeof recount] !== bytes,
  )
  const negative = Object.entries(ledger.bytes).filter(([, bytes]) => bytes < 0)
  return [
    ...(difference === 0 ? [] : [p8(`the ledger of ${site} is off by ${difference} bytes`)]),
    ...wrong.map(([state, bytes]) =>
      p8(`${site}: rows of ${state} hold ${bytes} bytes: ${say(ledger)}`),
    ),
    ...negative.map(([state, bytes]) => p8(`${site}: ${bytes} bytes are ${state}`)),
    ...(facts.unconfirmed + facts.pendingDrops === 0
      ? []
      : [
          p8(
            `${site} still owes its peer ${facts.unconfirmed} confirms, ${facts.pendingDrops} drops`,
          ),
        ]),
  ]
}

const differences = (a: StoreFacts, b: StoreFacts): readonly Violation[] => [
  ...(say(a.epoch) === say(b.epoch) ? [] : [p8(`two epochs: ${say(a.epoch)}, ${say(b.epoch)}`)]),
  ...LANE_NAMES.filter((lane) => say(a.lanes[lane]) !== say(b.lanes[lane])).map((lane) =>
    p8(`lane ${lane} differs: ${say(a.lanes[lane])} and ${say(b.lanes[lane])}`),
  ),
]

/** Bytes that clients have are delivered in the books, at both ends (where no book was put back). */
const undelivered = (evidence: Evidence): readonly Violation[] => {
  if (evidence.restores.length > 0) return []
  const bytes = answeredDraws(evidence)
    .flatMap(({ keys }) => keys)
    .reduce((sum, { lengthBytes }) => sum + lengthBytes, 0)
  return SITE_NAMES.flatMap((site) => {
    const { delivered, held, expired } = evidence.stores[site].ledger.bytes
    return delivered + held + expired >= bytes
      ? []
      : [p8(`clients have ${bytes} bytes, ${site} says ${delivered} are delivered, ${held} held`)]
  })
}

/** The database is whole, and so is its record: no row is missing or there twice. */
export const checkStores: Check = ({ stores }) =>
  SITE_NAMES.flatMap((site) => {
    const { integrity, audit } = stores[site]
    const broken = verifyChain(audit, EMPTY_RECORD)
    const once = audit.filter(({ action }) => action === 'delivered' || action === 'held')
    const names = once.map(({ action, deliveryId }) => `${action} ${deliveryId}`)
    const seen = new Set<string>()
    const twice = names.find((name) => seen.has(name) || !seen.add(name))
    return [
      ...(integrity === 'ok' ? [] : [store(`${site}: integrity check: ${integrity}`)]),
      ...(broken === null
        ? []
        : [store(`${site}: the audit is not what was written from row ${broken} on`)]),
      ...(twice === undefined ? [] : [store(`${site}: twice in the audit: ${twice}`)]),
    ]
  })
