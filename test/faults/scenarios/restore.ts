import { copyFile, mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { SITE_NAMES, type SiteName } from '../record.ts'
import type { Scenario, Stage } from '../scenario.ts'
import { Trial } from '../stage/trial.ts'

const DATABASE = 'keyspring.db'
/** The database and its log; not what a KME keeps beside it, which nobody thinks of. */
const isDatabase = (name: string): boolean => /^keyspring\.db(-wal|-shm)?$/.test(name)

const copyDatabase = async (from: string, to: string): Promise<void> => {
  await mkdir(to, { recursive: true, mode: 0o700 })
  for (const name of (await readdir(to)).filter(isDatabase)) await rm(join(to, name))
  for (const name of (await readdir(from)).filter(isDatabase)) {
    await copyFile(join(from, name), join(to, name))
  }
}

/** Copies the stores of those sites by hand, goes on, puts the copies back, and goes on. */
const restoreByHand = async (stage: Stage, trial: Trial, sites: readonly SiteName[]) => {
  const { lab } = trial.pair
  await trial.load.more(60 + stage.dice.roll(60))
  await Promise.all(sites.map((name) => trial.site(name).end('SIGTERM')))
  const copiedMs = performance.now()
  for (const name of sites) await copyDatabase(lab.path(`kme-${name}`), lab.path(`copy-${name}`))
  await trial.recover()
  await trial.load.more(100 + stage.dice.roll(100))
  // Younger than the last writing of its mark a copied-back file is not noticed before its first hello.
  await Promise.all(sites.map((name) => trial.site(name).end('SIGTERM')))
  stage.note(`${DATABASE} of ${sites.join(' and ')} put back by hand`)
  for (const name of sites) await copyDatabase(lab.path(`copy-${name}`), lab.path(`kme-${name}`))
  const resumedMs = performance.now()
  trial.recorder.restores.push(...sites.map((site) => ({ site, copiedMs, resumedMs })))
  stage.tally.recovered(await trial.recover())
  await trial.load.more(60)
}

const restoring = (rounds: readonly (readonly SiteName[])[]) => async (stage: Stage) => {
  for (const sites of rounds) {
    await using trial = await Trial.start({ seed: stage.dice.roll(2 ** 31) })
    trial.load.start()
    await restoreByHand(stage, trial, sites)
    stage.tally.add(await trial.finish())
  }
}

export const restoreOne: Scenario = {
  name: 'restore-one',
  what: 'the store of one KME put back to an older copy by hand',
  run: restoring(SITE_NAMES.map((name) => [name])),
}

export const restoreBoth: Scenario = {
  name: 'restore-both',
  what: 'the stores of both KMEs put back to copies of the same moment by hand',
  run: restoring([SITE_NAMES]),
}
