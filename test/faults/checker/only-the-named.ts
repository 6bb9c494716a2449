import { type Check, answeredDraws, answeredFetches, breaking } from './evidence.ts'

const p3 = breaking('P3')

/** P3: only SAEs that the delivery names, as keys of its master. */
export const checkOnlyTheNamed: Check = (evidence) => {
  const drawn = new Map(
    answeredDraws(evidence).flatMap((draw) => draw.keys.map(({ keyId }) => [keyId, draw] as const)),
  )
  return answeredFetches(evidence).flatMap(({ site, saeId, masterId, keys }) =>
    keys.flatMap(({ keyId }) => {
      const draw = drawn.get(keyId)
      const isNamed = draw?.slaves.some((slave) => slave.saeId === saeId && slave.site === site)
      return [
        ...(isNamed === true ? [] : [p3(`${saeId} got ${keyId}, which does not name it`)]),
        ...(draw === undefined || draw.masterId === masterId
          ? []
          : [p3(`${saeId} got ${keyId} as a key of ${masterId}, who is not its master`)]),
      ]
    }),
  )
}
