import { setTimeout as sleep } from 'node:timers/promises'
import { breaking } from '../checker/evidence.ts'
import type { SiteName } from '../record.ts'
import type { Scenario, Stage } from '../scenario.ts'
import type { Trial } from '../stage/trial.ts'
import { type Wire, withWire } from '../stage/wired-trial.ts'
import { planKills } from './kill.ts'
import { backUp, putBack } from './restore.ts'

const KILLS = 40
const SHORT_KILLS = 4
const PARTITIONS = 6
const SHORT_PARTITIONS = 2
const CUT_MS = 20_000
const SHORT_CUT_MS = 3_000
/** So many deliveries only one store knows of when it is lost. */
const UNTOLD = 20

const behaviour = breaking('behaviour')

const cut = (wire: Wire): void => {
  for (const proxy of [wire.a, wire.b]) proxy.cut()
}

const mend = (wire: Wire): void => {
  for (const proxy of [wire.a, wire.b]) proxy.mend()
}

const killOften = async ({ dice, extent, note, tally }: Stage, trial: Trial): Promise<void> => {
  for (const kill of planKills(dice, extent.short ? SHORT_KILLS : KILLS)) {
    await trial.load.more(kill.afterOperations)
    await sleep(kill.afterMs)
    note(`SIGKILL ${kill.victims.join(' and ')}, ${kill.downMs} ms down`)
    await Promise.all(kill.victims.map((name) => trial.kill(name)))
    await sleep(kill.downMs)
    tally.recovered(await trial.recover())
  }
}

/** Deliveries to the other site that were answered since then. */
const answeredThere = ({ recorder }: Trial, site: SiteName, sinceMs: number): number =>
  recorder.draws.filter(
    (draw) =>
      draw.site === site &&
      draw.startedMs >= sinceMs &&
      draw.outcome.result === 'answered' &&
      draw.slaves.some((slave) => slave.site !== site),
  ).length

/** What it answers now, the other one never hears of while they are cut off. */
const goOnAlone = async ({ tally }: Stage, trial: Trial, site: SiteName): Promise<void> => {
  const sinceMs = performance.now()
  while (answeredThere(trial, site, sinceMs) < UNTOLD) {
    await sleep(50)
    if (performance.now() < sinceMs + CUT_MS) continue
    tally.violations.push(behaviour(`${site} delivers nothing while its peer is not reached`))
    return
  }
}

/** Each goes on alone; one is killed with deliveries that nobody else knows of. */
const killCutOff = async (stage: Stage, trial: Trial, wire: Wire): Promise<void> => {
  const { dice, extent, note, tally } = stage
  const victim = dice.once(2) ? 'a' : 'b'
  await trial.load.more(50)
  cut(wire)
  const ms = (extent.short ? SHORT_CUT_MS : CUT_MS) + dice.roll(1_000)
  note(`cut off from each other for ${ms} ms and more, ${victim} killed meanwhile`)
  await goOnAlone(stage, trial, victim)
  await trial.kill(victim)
  trial.site(victim).launch()
  await sleep(ms)
  mend(wire)
  const mendedMs = performance.now()
  await trial.untilReady()
  tally.recovered(performance.now() - mendedMs)
}

/** One store is lost for good with deliveries that nobody else knows of: what P4 does not promise. */
const loseCutOff = async (stage: Stage, trial: Trial, wire: Wire): Promise<void> => {
  const victim = stage.dice.once(2) ? 'a' : 'b'
  const file = trial.pair.lab.path(`kme-${victim}.ksb`)
  await trial.load.more(50)
  const copiedMs = await backUp(trial, victim, file)
  await trial.load.more(50)
  cut(wire)
  await goOnAlone(stage, trial, victim)
  stage.note(`${victim} killed while it is cut off`)
  await trial.kill(victim)
  mend(wire)
  await putBack(stage, trial, victim, { file, copiedMs })
  await trial.load.more(60)
}

export const confirmLocal: Scenario = {
  name: 'confirm-local',
  what: '`confirm: local`: SIGKILL of one KME, or of both, under load and while they are cut off from each other; a store lost meanwhile, and restored',
  async run(stage) {
    const terms = { confirm: 'local' } as const
    await withWire(
      stage,
      async (trial, wire) => {
        await killOften(stage, trial)
        const times = stage.extent.short ? SHORT_PARTITIONS : PARTITIONS
        for (let i = 0; i < times; i += 1) await killCutOff(stage, trial, wire)
      },
      { terms },
    )
    await withWire(stage, (trial, wire) => loseCutOff(stage, trial, wire), { terms })
  },
}
