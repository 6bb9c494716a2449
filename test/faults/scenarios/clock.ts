import { setTimeout as sleep } from 'node:timers/promises'
import type { KmeLab } from '../../helpers/kme-lab.ts'
import { breaking } from '../checker/evidence.ts'
import { SITE_NAMES, type SiteName } from '../record.ts'
import type { Scenario, Stage } from '../scenario.ts'
import { lastingIssuer } from '../stage/lasting-certificates.ts'
import { MovedClock } from '../stage/moved-clock.ts'
import { Trial } from '../stage/trial.ts'

/** Longer than the library keeps a clock that it has read. */
const SETTLE_MS = 2_500
const YEAR_MS = 365.25 * 86_400_000
const MOVES = ['+10y', '-10y', '-1h', '+1h', '+0'] as const

const behaviour = breaking('behaviour')

/** Whether the clock of the KME shows what it was moved to: else nothing was tried. */
const judgeMove = async ({ tally }: Stage, trial: Trial, name: SiteName, years: number) => {
  const { kme } = await trial.site(name).admin.status()
  const offMs = Date.parse(kme.startedAt) - Date.now()
  if (Math.abs(offMs - years * YEAR_MS) > YEAR_MS / 12) {
    tally.violations.push(behaviour(`the clock of ${name} was not moved: ${kme.startedAt}`))
  }
}

export const clock: Scenario = {
  name: 'clock',
  what: 'wall clock of either KME moved by hours and by ten years, while it runs and across restarts',
  async run(stage) {
    const clocks = new Map<SiteName, MovedClock>()
    const clockOf = (name: SiteName): MovedClock => {
      const found = clocks.get(name)
      if (!found) throw new TypeError('no clock yet')
      return found
    }
    await using trial = await Trial.start({
      seed: stage.dice.roll(2 ** 31),
      lab: { issuer: lastingIssuer() },
      launch: (name) => ({ env: clockOf(name).env }),
      async prepare(lab: KmeLab) {
        for (const name of SITE_NAMES) clocks.set(name, new MovedClock(lab.path(`clock-${name}`)))
        return null
      },
    })
    trial.load.start()
    for (const by of stage.extent.short ? MOVES.slice(0, 3) : MOVES) {
      const name = stage.dice.once(2) ? 'a' : 'b'
      await trial.load.more(50)
      stage.note(`the clock of ${name} moved to ${by} while it runs, then a restart`)
      clockOf(name).move(by)
      await sleep(SETTLE_MS)
      await trial.load.more(50)
      await trial.kill(name)
      stage.tally.recovered(await trial.recover())
      await judgeMove(stage, trial, name, by.endsWith('y') ? Number(by.slice(0, -1)) : 0)
      await trial.load.more(50)
    }
    stage.tally.add(await trial.finish())
  },
}
