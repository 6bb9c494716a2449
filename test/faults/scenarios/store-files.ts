import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parse, stringify } from 'yaml'
import type { KmeSite } from '../../helpers/kme-site.ts'
import { breaking } from '../checker/evidence.ts'
import { SITE_NAMES, type SiteName } from '../record.ts'
import type { Scenario, Stage } from '../scenario.ts'
import { type Damage, DAMAGES, DATABASE, copyDatabase, storeFileOf } from '../stage/store-files.ts'
import { Trial, untilReady } from '../stage/trial.ts'

const ROUNDS = 6
const OPERATIONS = 30
/** How long a damaged store is put to use where it cannot serve. */
const USED_MS = 4_000

const behaviour = breaking('behaviour')

const folderOf = async (site: KmeSite): Promise<string> => dirname(await storeFileOf(site))

/** From now on the KME is configured for a store in that folder. */
const moveStore = async ({ configFile }: KmeSite, folder: string): Promise<void> => {
  const config = parse(await readFile(configFile, 'utf8')) as { store: { path: string } }
  config.store.path = join(folder, DATABASE)
  await writeFile(configFile, stringify(config))
}

/** The files that a killed KME left are copied, and later put back into its place or started from another. */
const putCopyBack = async (stage: Stage, trial: Trial, name: SiteName, elsewhere: boolean) => {
  const site = trial.site(name)
  const copy = trial.pair.lab.path(`kme-${name}`, elsewhere ? 'elsewhere' : 'copy')
  await trial.load.more(60 + stage.dice.roll(60))
  await trial.kill(name)
  const copiedMs = performance.now()
  await copyDatabase(await folderOf(site), copy)
  await trial.recover()
  await trial.load.more(60 + stage.dice.roll(60))
  await trial.kill(name)
  stage.note(`files of ${name}, killed, ${elsewhere ? 'started elsewhere' : 'put back'}`)
  if (elsewhere) await moveStore(site, copy)
  else await copyDatabase(copy, await folderOf(site))
  const resumedMs = performance.now()
  stage.tally.recovered(await trial.recover())
  const agreedMs = performance.now()
  trial.recorder.restores.push({ site: name, by: 'hand', copiedMs, resumedMs, agreedMs })
  await trial.load.more(60)
}

export const copiedFiles: Scenario = {
  name: 'copied-files',
  what: 'database and log of a killed KME copied, and put back later into its place, or started from another without its mark',
  async run(stage) {
    const { dice, extent } = stage
    const first = dice.once(2) ? 'a' : 'b'
    const names = extent.short ? ([first] as const) : SITE_NAMES
    for (const name of names) {
      await using trial = await Trial.start({ seed: dice.roll(2 ** 31) })
      trial.load.start()
      await putCopyBack(stage, trial, name, false)
      await putCopyBack(stage, trial, name, true)
      stage.tally.add(await trial.finish())
    }
  },
}

/** Uses the damaged store until it has served some calls, or cannot; or its KME ends. */
const useDamaged = async (trial: Trial, name: SiteName): Promise<string> => {
  const process = trial.site(name).launch()
  process.expectEnd()
  const isUp = await untilReady(trial.site(name)).then(
    () => true,
    () => false,
  )
  if (isUp) {
    const served = trial.load.operations + OPERATIONS
    const giveUpMs = performance.now() + USED_MS
    while (process.isRunning && trial.load.operations < served && performance.now() < giveUpMs) {
      await sleep(20)
    }
  }
  if (process.isRunning) return isUp ? 'goes on' : 'is not ready'
  return `ended: ${process.err.at(-1) ?? ''}`
}

/** A KME that cannot use its store ends with a line that says so, and no other way. */
const judgeEnd = async ({ tally }: Stage, trial: Trial, name: SiteName): Promise<void> => {
  const { process } = trial.site(name)
  if (!process || process.isRunning) return
  const { code } = await process.ended
  const last = process.err.at(-1) ?? ''
  const says =
    /^keyspring: .*(is damaged|was changed from outside or damaged|is no store of Keyspring)/.test(
      last,
    )
  if (code === 1 && says) return
  tally.violations.push(behaviour(`${name} ended with ${String(code)}: ${process.tail()}`))
}

const damageOnce = async (stage: Stage, trial: Trial, name: SiteName, { after, spoil }: Damage) => {
  const site = trial.site(name)
  const folder = await folderOf(site)
  const intact = trial.pair.lab.path(`kme-${name}`, 'intact')
  await trial.load.more(OPERATIONS + stage.dice.roll(30))
  await site.end(after)
  const copiedMs = performance.now()
  await copyDatabase(folder, intact)
  const what = await spoil(folder, stage.dice)
  const outcome = await useDamaged(trial, name)
  stage.note(`${name}: ${what}: ${outcome}`)
  await judgeEnd(stage, trial, name)
  if (site.process?.isRunning === true) await trial.kill(name)
  await copyDatabase(intact, folder)
  const resumedMs = performance.now()
  stage.tally.recovered(await trial.recover())
  const agreedMs = performance.now()
  trial.recorder.restores.push({ site: name, by: 'hand', copiedMs, resumedMs, agreedMs })
}

export const damagedFiles: Scenario = {
  name: 'damaged-files',
  what: 'files of a killed KME damaged before it starts: bits turned in the database and in its log, either cut short',
  async run(stage) {
    const { dice, extent } = stage
    for (let round = 0; round < (extent.short ? 1 : ROUNDS); round += 1) {
      const name = dice.once(2) ? 'a' : 'b'
      await using trial = await Trial.start({ seed: dice.roll(2 ** 31) })
      trial.site(name).expectComplaint(/STORE_CORRUPT|damaged/)
      trial.load.start()
      for (const damage of DAMAGES) await damageOnce(stage, trial, name, damage)
      await trial.load.more(OPERATIONS)
      stage.tally.add(await trial.finish())
    }
  },
}
