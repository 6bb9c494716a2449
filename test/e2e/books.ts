import type { LinkView } from '../../src/admin/client.ts'
import { ledgerDifference } from '../../src/model/ledger.ts'
import { patiently } from '../helpers/patiently.ts'
import type { KmePair } from '../helpers/kme-pair.ts'

export interface Books {
  readonly a: LinkView
  readonly b: LinkView
}

const laneOf = ({ lanes }: LinkView, name: string) => {
  const lane = lanes.find((one) => one.lane === name)
  if (!lane) throw new TypeError('no such lane')
  return lane
}

/**
 * Nothing is owed between the ends, and both say the same of both lanes. A block that one end of the
 * device holds back while the pool is full may be unverified at the other.
 */
const areSettled = ({ a, b }: Books): boolean =>
  [a, b].every(({ pending, state }) => state === 'ready' && pending.confirms === 0) &&
  a.lanes.every(({ lane, appendedBytes, usableBytes, consumedBytes }) => {
    const other = laneOf(b, lane)
    return (
      other.appendedBytes === appendedBytes &&
      other.usableBytes === usableBytes &&
      other.consumedBytes === consumedBytes
    )
  })

/** Cuts the fibre, waits until both ends have nothing more to tell each other, and reads both. */
export const settledBooks = async ({ a, b }: KmePair): Promise<Books> => {
  await a.control('extraLossDb', 100)
  let books: Books = { a: await a.link(), b: await b.link() }
  await patiently(async () => {
    const before = JSON.stringify(books)
    books = { a: await a.link(), b: await b.link() }
    return areSettled(books) && JSON.stringify(books) === before
  }, 'an agreement of both ends').catch((error: unknown) => {
    throw new Error(`both ends do not agree: ${JSON.stringify(books)}`, { cause: error })
  })
  return books
}

/** Whether every byte ever received is in exactly one state, by the end's own count and by ours. */
export const isBalanced = ({ ledger }: LinkView): boolean =>
  ledger.balanced && ledger.differenceBytes === 0 && ledgerDifference(ledger) === 0
