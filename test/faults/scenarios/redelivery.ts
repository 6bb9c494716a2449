import { setTimeout as sleep } from 'node:timers/promises'
import { breaking } from '../checker/evidence.ts'
import { requestOf } from '../checker/redelivery.ts'
import type { Fetch } from '../record.ts'
import type { Scenario } from '../scenario.ts'
import { Trial } from '../stage/trial.ts'
import { planKills } from './kill.ts'

const KILLS = 60
const SHORT_KILLS = 5
/** Longer than a KME needs to come back, short enough to see it end. */
const WINDOW_S = 2
/** Windows that no start prolongs end in this time. */
const QUIET_MS = 2 * WINDOW_S * 1000

const behaviour = breaking('behaviour')

interface Repeated {
  readonly answered: number
  readonly refused: number
  /** Answered after an answer was lost. */
  readonly recovered: number
}

/** What became of requests that had been answered, or may have been. */
const countRepeated = (fetches: readonly Fetch[]): Repeated => {
  let [answered, refused, recovered] = [0, 0, 0]
  for (const tries of Map.groupBy(fetches, requestOf).values()) {
    const [first, ...again] = tries.filter(
      ({ outcome: { result } }, i) => i > 0 || result !== 'refused',
    )
    const results = again.map(({ outcome }) => outcome.result)
    if (first?.outcome.result === 'lost' && results.includes('answered')) recovered += 1
    if (first?.outcome.result !== 'answered') continue
    answered += results.filter((result) => result === 'answered').length
    refused += results.filter((result) => result === 'refused').length
  }
  return { answered, refused, recovered }
}

export const redelivery: Scenario = {
  name: 'redelivery',
  what: 'SIGKILL under load with a redelivery window: *Get key with key IDs* repeated within it and after it',
  async run(stage) {
    const { dice, extent, note, tally } = stage
    await using trial = await Trial.start({
      seed: dice.roll(2 ** 31),
      terms: { redeliveryWindowS: WINDOW_S },
    })
    trial.load.start()
    for (const kill of planKills(dice, extent.short ? SHORT_KILLS : KILLS)) {
      await trial.load.more(kill.afterOperations)
      await sleep(kill.afterMs)
      note(`SIGKILL ${kill.victims.join(' and ')}, ${kill.downMs} ms down`)
      await Promise.all(kill.victims.map((name) => trial.kill(name)))
      await sleep(kill.downMs)
      tally.recovered(await trial.recover())
    }
    await sleep(QUIET_MS)
    tally.add(await trial.finish())
    const repeated = countRepeated(trial.recorder.fetches)
    note(
      `repeated: ${repeated.answered} answered, ${repeated.refused} refused; ` +
        `${repeated.recovered} of which the first answer was lost`,
    )
    if (repeated.answered === 0 || repeated.refused === 0 || repeated.recovered === 0) {
      tally.violations.push(behaviour(`too little was repeated: ${JSON.stringify(repeated)}`))
    }
  },
}
