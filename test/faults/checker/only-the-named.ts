import { type Check, answeredDraws, answeredFetches, breaking } from './evidence.ts'

const p3 = breaking('P3')

/** P3: only SAEs that the delivery names, and each once. */
export const checkOnlyTheNamed: Check = (evidence) => {
  const drawn = new Map(
    answeredDraws(evidence).flatMap((draw) => draw.keys.map(({ keyId }) => [keyId, draw] as const)),
  )
  const served = new Set<string>()
  return answeredFetches(evidence).flatMap(({ site, saeId, masterId, keys }) =>
    keys.flatMap(({ keyId }) => {
      const draw = drawn.get(keyId)
      const isNamed = draw?.slaves.some((slave) => slave.saeId === saeId && slave.site === site)
      const once = `${saeId} ${keyId}`
      const again = served.has(once)
      served.add(once)
      return [
        ...(isNamed === true ? [] : [p3(`${saeId} got ${keyId}, which does not name it`)]),
        ...(draw === undefined || draw.masterId === masterId
          ? []
          : [p3(`${saeId} got ${keyId} as a key of ${masterId}, who is not its master`)]),
        ...(again ? [p3(`${saeId} got ${keyId} twice`)] : []),
      ]
    }),
  )
}
