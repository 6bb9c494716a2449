import { type Check, answeredDraws, answeredFetches, breaking } from './evidence.ts'

const p2 = breaking('P2')

/** P2: whoever got a key under a key ID got the same bytes, and what was asked for. */
export const checkSameBytes: Check = (evidence) => {
  const answers = [...answeredDraws(evidence), ...answeredFetches(evidence)]
  const seen = Map.groupBy(
    answers.flatMap(({ keys }) => keys),
    ({ keyId }) => keyId,
  )
  const different = [...seen].flatMap(([keyId, keys]) =>
    new Set(keys.map(({ fingerprint }) => fingerprint)).size === 1
      ? []
      : [p2(`${keyId}: different bytes in different answers`)],
  )
  const wrong = answeredFetches(evidence).flatMap(({ saeId, keyIds, keys }) =>
    keys.length === keyIds.length && keys.every(({ keyId }, i) => keyId === keyIds[i])
      ? []
      : [p2(`${saeId} got other key IDs than it asked for: ${keyIds.join(' ')}`)],
  )
  return [...different, ...wrong]
}
