import { SITE_NAMES, type SiteName } from '../record.ts'
import { runCli } from '../../cli/cli-fixture.ts'
import type { Scenario, Stage } from '../scenario.ts'
import { DATABASE, copyDatabase } from '../stage/store-files.ts'
import { Trial } from '../stage/trial.ts'

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
  stage.tally.recovered(await trial.recover())
  const times = { copiedMs, resumedMs, agreedMs: performance.now() }
  trial.recorder.restores.push(...sites.map((site) => ({ site, by: 'hand' as const, ...times })))
  await trial.load.more(60)
}

export const command = async (words: readonly string[]): Promise<void> => {
  const { code, err } = await runCli(words)
  if (code !== 0) throw new Error(`keyspring ${words.join(' ')} failed: ${err}`)
}

/** Backs the store of one KME up by the command, which for that time stands still. */
export const backUp = async (trial: Trial, name: SiteName, out: string): Promise<number> => {
  const site = trial.site(name)
  await site.end('SIGTERM')
  const copiedMs = performance.now()
  await command(['store', 'backup', '-c', site.configFile, '--out', out])
  await trial.recover()
  return copiedMs
}

/** Restores the store of a KME that does not run, by the command, and starts it. */
export const putBack = async (
  stage: Stage,
  trial: Trial,
  name: SiteName,
  backup: { readonly file: string; readonly copiedMs: number },
): Promise<void> => {
  const { configFile } = trial.site(name)
  stage.note(`store of ${name} restored from its backup`)
  await command(['store', 'restore', '-c', configFile, '--from', backup.file, '--replace'])
  const resumedMs = performance.now()
  stage.tally.recovered(await trial.recover())
  const { copiedMs } = backup
  const agreedMs = performance.now()
  trial.recorder.restores.push({ site: name, by: 'command', copiedMs, resumedMs, agreedMs })
}

/** Backs one store up by the command, goes on, loses the KME, and restores it by the command. */
const restoreByCommand = async (stage: Stage, trial: Trial, name: SiteName) => {
  const file = trial.pair.lab.path(`kme-${name}-${String(stage.dice.roll(2 ** 31))}.ksb`)
  await trial.load.more(60 + stage.dice.roll(60))
  const copiedMs = await backUp(trial, name, file)
  await trial.load.more(100 + stage.dice.roll(100))
  await trial.kill(name)
  await putBack(stage, trial, name, { file, copiedMs })
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

export const restoreCommand: Scenario = {
  name: 'restore-command',
  what: 'one KME killed and restored from a backup by the commands',
  run: async (stage) => {
    for (const name of SITE_NAMES) {
      await using trial = await Trial.start({ seed: stage.dice.roll(2 ** 31) })
      trial.load.start()
      await restoreByCommand(stage, trial, name)
      stage.tally.add(await trial.finish())
    }
  },
}
