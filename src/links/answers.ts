import type { PeerAnswer } from '../ports/peer.ts'
import type { Stamped } from '../ports/lane-store.ts'

export const DONE: PeerAnswer = { result: 'done' }
export const RETRY: PeerAnswer = { result: 'retry' }

/** What the transaction found of the stamp, as an answer; `give` makes the answer of what it applied. */
export const answerOf = <T>(stamped: Stamped<T>, give: (value: T) => PeerAnswer): PeerAnswer =>
  stamped.kind === 'applied' ? give(stamped.value) : { result: stamped.kind }
