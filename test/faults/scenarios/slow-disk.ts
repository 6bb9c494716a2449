import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { breaking } from '../checker/evidence.ts'
import { SITE_NAMES, type SiteName } from '../record.ts'
import type { Scenario, Stage } from '../scenario.ts'
import { delayCalls } from '../stage/strace.ts'
import { Trial } from '../stage/trial.ts'

/** Shorter and longer than a confirmation is waited for. */
const SYNC_MS = [300, 3_000] as const
const SLOW_MS = 20_000
const SHORT_SLOW_MS = 7_000

const behaviour = breaking('behaviour')

/** Its commits wait for their sync while it goes on with all else; then the disk is as before, or the KME is killed in one. */
const slowDown = async (stage: Stage, trial: Trial, name: SiteName, syncMs: number) => {
  await trial.load.more(50 + stage.dice.roll(50))
  const { process } = trial.site(name)
  if (!process) throw new TypeError('it does not run')
  const isKilled = stage.dice.roll(2) === 0
  const fate = isKilled ? 'then SIGKILL' : 'then as before'
  stage.note(`each fdatasync of ${name} takes ${syncMs} ms, ${fate}`)
  const fromMs = performance.now()
  const strace = await delayCalls(process.pid, 'fdatasync', syncMs)
  try {
    await sleep(stage.extent.short ? SHORT_SLOW_MS : SLOW_MS)
    if (isKilled) await trial.kill(name)
  } finally {
    strace.kill('SIGKILL')
    if (strace.exitCode === null && strace.signalCode === null) await once(strace, 'exit')
  }
  const toMs = performance.now()
  stage.tally.recovered(await trial.recover())
  const waited = trial.recorder.draws.filter(
    ({ site, startedMs, endedMs }) =>
      site === name && startedMs > fromMs && startedMs < toMs && endedMs - startedMs >= syncMs / 2,
  )
  if (waited.length === 0) {
    stage.tally.violations.push(behaviour(`no call waited for the slow disk of ${name}`))
  }
}

export const slowDisk: Scenario = {
  name: 'slow-disk',
  what: 'each sync of a commit of one KME takes 0.3 s or 3 s under load; at its end some are killed',
  async run(stage) {
    await using trial = await Trial.start({ seed: stage.dice.roll(2 ** 31) })
    trial.load.start()
    for (const name of SITE_NAMES) {
      for (const syncMs of SYNC_MS) await slowDown(stage, trial, name, syncMs)
    }
    await trial.load.more(50)
    stage.tally.add(await trial.finish())
  },
}
