import { checkBooksBalance, checkStores } from './books-balance.ts'
import { checkDurableFirst } from './durable-first.ts'
import { checkEachOnce } from './each-once.ts'
import { checkEverySlaveCan } from './every-slave-can.ts'
import { checkIssuedOnce } from './one-key-one-id.ts'
import { checkOnlyTheNamed } from './only-the-named.ts'
import { checkSameBytes } from './same-bytes.ts'
import type { Draw } from '../record.ts'
import { type Check, type Violation, breaking } from './evidence.ts'

const p7 = breaking('P7')
const behaviour = breaking('behaviour')

/** P7: no key byte in the clear in a log, an answer of the admin listener, or a file of the store. */
const checkNothingLeaks: Check = ({ leaks }) =>
  leaks.map(({ where, form }) => p7(`bytes of a key as ${form} in ${where}`))

/** Every draw asks for what it may have: "later" (503) is the only proper refusal. */
const isOdd = ({ outcome }: Draw): boolean =>
  outcome.result === 'refused' && outcome.code !== 'NOT_READY'

/** Nothing unexpected was written or answered. */
const checkBehaviour: Check = ({ complaints, draws, fetches }) => [
  ...complaints.map((line) => behaviour(line)),
  ...draws
    .filter(isOdd)
    .map(({ masterId, outcome }) =>
      behaviour(`${masterId} was refused: ${JSON.stringify(outcome)}`),
    ),
  ...[...draws, ...fetches].flatMap(({ site, outcome }) =>
    outcome.result === 'broken' ? [behaviour(`${site} answered: ${outcome.message}`)] : [],
  ),
]

const CHECKS: readonly Check[] = [
  checkIssuedOnce,
  checkSameBytes,
  checkOnlyTheNamed,
  checkEachOnce,
  checkEverySlaveCan,
  checkDurableFirst,
  checkNothingLeaks,
  checkBooksBalance,
  checkStores,
  checkBehaviour,
]

/** Judges the promises P1 to P8, and what stands beside them: whole stores, quiet logs. */
export const check: (evidence: Parameters<Check>[0]) => readonly Violation[] = (evidence) =>
  CHECKS.flatMap((one) => one(evidence))
