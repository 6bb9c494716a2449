import { setTimeout as sleep } from 'node:timers/promises'
import type { Dice } from '../../links/chaos/dice.ts'
import type { SiteName } from '../record.ts'
import type { Scenario, Stage } from '../scenario.ts'
import { Trial } from '../stage/trial.ts'

/** One life of the two stores is judged after so many kills: what the checker keeps stays small. */
const KILLS_PER_TRIAL = 50
const LEAST_OPERATIONS = 50
const BITS_PER_KEY = 256
/** The devices pause when the pool is filled to this share: the default. */
const HIGH_WATER_SHARE = 0.8
const FILL_BPS = 200_000_000

export interface Kill {
  readonly victims: readonly SiteName[]
  /** Calls answered with keys since the last kill was healed. */
  readonly afterOperations: number
  readonly afterMs: number
  /** How long it stays down. */
  readonly downMs: number
}

const VICTIMS: readonly (readonly SiteName[])[] = [
  ['a'],
  ['b'],
  ['a'],
  ['b'],
  ['a'],
  ['b'],
  ['a', 'b'],
]

export const planKills = (dice: Dice, count: number): readonly Kill[] =>
  Array.from({ length: count }, () => ({
    victims: VICTIMS[dice.roll(VICTIMS.length)] ?? ['a'],
    afterOperations: LEAST_OPERATIONS + dice.roll(30),
    afterMs: dice.roll(20),
    downMs: dice.once(4) ? dice.roll(400) : 0,
  }))

/** Lanes that hold `keys` keys, filled before the load begins. */
const poolOf = (keys: number) => ({
  pair: {
    link: { poolKeys: Math.ceil(keys / HIGH_WATER_SHARE) },
    simulator: { secretKeyRateBps: FILL_BPS, speedUp: 1, blockBytes: 262_144 },
  },
})

const fill = async (trial: Trial, keys: number): Promise<void> => {
  const goalBytes = (keys * BITS_PER_KEY) / 8
  for (;;) {
    const { lanes } = await trial.site('a').link()
    if (lanes[0].availableBytes + lanes[1].availableBytes >= goalBytes) return
    await sleep(200)
  }
}

const runTrial = async (stage: Stage, kills: readonly Kill[]): Promise<void> => {
  const { dice, extent, tally } = stage
  const seed = dice.roll(2 ** 31)
  await using trial = await Trial.start({ seed, ...(extent.keys > 0 ? poolOf(extent.keys) : {}) })
  if (extent.keys > 0) await fill(trial, extent.keys * 0.98)
  trial.load.start()
  for (const kill of kills) {
    await trial.load.more(kill.afterOperations)
    await sleep(kill.afterMs)
    stage.note(`SIGKILL ${kill.victims.join(' and ')}, ${kill.downMs} ms down`)
    await Promise.all(kill.victims.map((name) => trial.kill(name)))
    await sleep(kill.downMs)
    tally.recovered(await trial.recover())
  }
  await trial.load.more(LEAST_OPERATIONS)
  tally.add(await trial.finish())
}

export const kill: Scenario = {
  name: 'kill',
  what: 'SIGKILL of one KME, or of both, at random moments under load',
  async run(stage) {
    const kills = planKills(stage.dice, stage.extent.cycles)
    for (let at = 0; at < kills.length; at += KILLS_PER_TRIAL) {
      await runTrial(stage, kills.slice(at, at + KILLS_PER_TRIAL))
    }
  },
}
