import { copyFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../../../src/errors.ts'
import { LINK_ID } from '../../helpers/kme-pair.ts'
import type { KmeProcess } from '../../helpers/kme-process.ts'
import { breaking } from '../checker/evidence.ts'
import { SITE_NAMES, type SiteName } from '../record.ts'
import type { Scenario, Stage } from '../scenario.ts'
import { kekFileOf, kekIdsOf, startRotation, untilBegun } from '../stage/kek-command.ts'
import { readStoreFacts } from '../stage/store-facts.ts'
import { type DiskCall, killedAt } from '../stage/strace.ts'
import { Trial } from '../stage/trial.ts'

const ROUNDS = 12
const SHORT_ROUNDS = 1
/** From the first change of the KEK file on, the whole replacement takes about that long. */
const REPLACEMENT_MS = 40
/** Many more than a replacement takes. */
const MOST_SYNCS = 100
const SHORT_STRIDE = 3
/** Of killing it between two changes of the file. */
const MOST_TRIES = 10

const behaviour = breaking('behaviour')

const complain = ({ tally }: Stage, message: string): void => {
  tally.violations.push(behaviour(message))
}

/** The command is given until it is done; the file then holds the next KEK alone. */
const finishRotation = async (
  stage: Stage,
  trial: Trial,
  name: SiteName,
  isRunning: boolean,
): Promise<void> => {
  const command = await startRotation(trial, name, { isRunning })
  const { code } = await command.ended
  const kekIds = await kekIdsOf(kekFileOf(trial, name))
  if (code !== 0 || kekIds.length !== 1) {
    complain(
      stage,
      `rotate-kek of ${name} ended with ${code}, ${kekIds.length} KEKs: ${command.tail()}`,
    )
  }
}

/** One that was cut off says nothing at all, or one line. */
const judgeEnd = async (stage: Stage, command: KmeProcess): Promise<void> => {
  const { code } = await command.ended
  const lines = [...command.out, ...command.err].filter((line) => line !== '')
  if (code === 0 || lines.length <= 1) return
  complain(stage, `rotate-kek that failed said: ${lines.join(' / ')}`)
}

type Victim = 'nobody' | 'KME' | 'command'

/** A replacement under load; its victim is killed somewhere in it, and it is done again. */
const rotateOnline = async (stage: Stage, trial: Trial, name: SiteName, victim: Victim) => {
  const { dice, note, tally } = stage
  await trial.load.more(30 + dice.roll(30))
  const kekFile = kekFileOf(trial, name)
  const [formerId] = await kekIdsOf(kekFile)
  const command = await startRotation(trial, name, { isRunning: true })
  if (victim !== 'nobody') {
    await untilBegun(kekFile, command)
    await sleep(dice.roll(REPLACEMENT_MS))
  }
  if (victim === 'KME') await trial.kill(name)
  if (victim === 'command') command.signal('SIGKILL')
  await judgeEnd(stage, command)
  const found = (await kekIdsOf(kekFile)).length
  note(`KEK of ${name} replaced, ${victim} killed in it: ${found === 2 ? 'half done' : 'done'}`)
  if (victim === 'KME') tally.recovered(await trial.recover())
  else tally.faults += 1
  if (found === 2 || victim === 'KME') await finishRotation(stage, trial, name, true)
  const [kekId] = await kekIdsOf(kekFile)
  if (kekId === formerId) complain(stage, `the KEK of ${name} is still ${formerId}`)
}

/**
 * The command is killed at its n-th sync, and given again.
 * @returns whether it had so many
 */
const rotateOffline = async (
  stage: Stage,
  trial: Trial,
  name: SiteName,
  call: DiskCall,
  n: number,
): Promise<boolean> => {
  const { note, tally } = stage
  const command = await startRotation(trial, name, { isRunning: false, wrap: killedAt(call, n) })
  const { signal } = await command.ended
  const wasKilled = signal === 'SIGKILL'
  const { length } = await kekIdsOf(kekFileOf(trial, name))
  note(`rotate-kek of ${name} ${wasKilled ? 'killed at' : 'has no'} ${call} ${n}: ${length} KEKs`)
  if (!wasKilled) return false
  tally.faults += 1
  await finishRotation(stage, trial, name, false)
  return true
}

/** Killed with two KEKs in the file. */
const leaveHalfDone = async (stage: Stage, trial: Trial, name: SiteName): Promise<void> => {
  const kekFile = kekFileOf(trial, name)
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    const command = await startRotation(trial, name, { isRunning: false })
    await untilBegun(kekFile, command)
    command.signal('SIGKILL')
    await command.ended
    if ((await kekIdsOf(kekFile)).length === 2) return
  }
  complain(stage, `rotate-kek of ${name} was never left half done`)
}

const rotateStopped = async (stage: Stage, trial: Trial, name: SiteName): Promise<void> => {
  const { dice, extent, tally } = stage
  await trial.load.more(30)
  await trial.kill(name)
  for (const call of ['fsync', 'fdatasync'] as const) {
    const stride = extent.short && call === 'fsync' ? SHORT_STRIDE : 1
    let n = 1 + dice.roll(stride)
    while (await rotateOffline(stage, trial, name, call, n)) {
      n += stride
      if (n > MOST_SYNCS) throw new Error(`rotate-kek of ${name} never comes to its end`)
    }
  }
  await leaveHalfDone(stage, trial, name)
  stage.note(`rotate-kek of ${name} killed half done, the KME started`)
  tally.recovered(await trial.recover())
  await trial.load.more(30)
  await finishRotation(stage, trial, name, true)
}

/** What the KEK of the beginning opens is nothing now. */
const judgeFormer = async (stage: Stage, trial: Trial, name: SiteName, kekFile: string) => {
  const path = trial.pair.lab.path(`kme-${name}`, 'keyspring.db')
  const failure = await readStoreFacts({ path, kekFile, linkId: LINK_ID }).then(
    () => 'opens with the former KEK',
    (error: unknown) => messageOf(error),
  )
  if (!/is wrapped under KEK [0-9a-f]{16}/.test(failure)) complain(stage, `${name}: ${failure}`)
}

export const rotateKek: Scenario = {
  name: 'rotate-kek',
  what: 'the KEK replaced under load: the KME or the command killed in it; the command killed at each fsync and fdatasync',
  async run(stage) {
    const { dice, extent, tally } = stage
    await using trial = await Trial.start({ seed: dice.roll(2 ** 31) })
    const former = new Map<SiteName, string>()
    for (const name of SITE_NAMES) {
      former.set(name, trial.pair.lab.path(`former-${name}.key`))
      await copyFile(kekFileOf(trial, name), former.get(name) ?? '')
    }
    trial.load.start()
    for (let round = 0; round < (extent.short ? SHORT_ROUNDS : ROUNDS); round += 1) {
      const [one, other] = dice.once(2) ? (['a', 'b'] as const) : (['b', 'a'] as const)
      await rotateOnline(stage, trial, one, 'nobody')
      for (const name of [one, other]) await rotateOnline(stage, trial, name, 'KME')
      await rotateOnline(stage, trial, other, 'command')
    }
    for (const name of SITE_NAMES) await rotateStopped(stage, trial, name)
    await trial.load.more(50)
    tally.add(await trial.finish())
    for (const [name, kekFile] of former) await judgeFormer(stage, trial, name, kekFile)
  },
}
