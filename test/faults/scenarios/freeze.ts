import { setTimeout as sleep } from 'node:timers/promises'
import { breaking } from '../checker/evidence.ts'
import { SITE_NAMES, type SiteName } from '../record.ts'
import type { Scenario, Stage } from '../scenario.ts'
import { Trial } from '../stage/trial.ts'

const FROZEN_MS = 30_000
const SHORT_FROZEN_MS = 6_000
/** The deadline of a confirmation is 2 s; a busy machine gets much more. */
const ANSWER_WITHIN_MS = 10_000

const behaviour = breaking('behaviour')

const STOPPED_AFTER_MS = 300

/** Asks the other site for keys while its peer is frozen: it says 503, and in time. */
const probe = async ({ tally }: Stage, trial: Trial, frozen: SiteName): Promise<void> => {
  const startedMs = performance.now()
  const slave = { saeId: `sae-${frozen}1`, site: frozen }
  const master = trial.sae(frozen === 'a' ? 'sae-b2' : 'sae-a2')
  const { outcome } = await master.draw({ slaves: [slave], number: 1, sizeBits: 256, asGet: true })
  const waitedMs = performance.now() - startedMs
  if (outcome.result !== 'refused' || outcome.code !== 'NOT_READY') {
    tally.violations.push(behaviour(`${frozen} frozen, and a call was ${outcome.result}`))
  }
  if (waitedMs > ANSWER_WITHIN_MS) {
    tally.violations.push(behaviour(`${frozen} frozen, and a call waited ${waitedMs} ms`))
  }
}

const probeFor = async (stage: Stage, trial: Trial, frozen: SiteName, ms: number) => {
  const untilMs = performance.now() + ms
  await sleep(STOPPED_AFTER_MS)
  do {
    await probe(stage, trial, frozen)
    await sleep(stage.dice.roll(500))
  } while (performance.now() < untilMs)
}

export const freeze: Scenario = {
  name: 'freeze',
  what: 'SIGSTOP of one KME under load, SIGCONT later',
  async run(stage) {
    const frozenMs = stage.extent.short ? SHORT_FROZEN_MS : FROZEN_MS
    await using trial = await Trial.start({ seed: stage.dice.roll(2 ** 31) })
    trial.load.start()
    for (const name of SITE_NAMES) {
      await trial.load.more(50 + stage.dice.roll(50))
      stage.note(`SIGSTOP ${name}, ${frozenMs} ms`)
      trial.site(name).process?.signal('SIGSTOP')
      await probeFor(stage, trial, name, frozenMs)
      trial.site(name).process?.signal('SIGCONT')
      const thawedMs = performance.now()
      await trial.untilReady()
      stage.tally.recovered(performance.now() - thawedMs)
    }
    await trial.load.more(50)
    stage.tally.add(await trial.finish())
  },
}
