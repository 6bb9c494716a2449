import { setTimeout as sleep } from 'node:timers/promises'
import { breaking } from '../checker/evidence.ts'
import { SITE_NAMES, type SiteName } from '../record.ts'
import type { Scenario, Stage } from '../scenario.ts'
import { SmallDisk } from '../stage/small-disk.ts'
import { type DiskCall, failCalls } from '../stage/strace.ts'
import { Trial } from '../stage/trial.ts'

const DISK_MIB = 48
const FULL_MS = 10_000
const SHORT_FULL_MS = 3_000
const ROUNDS = 4
const END_WITHIN_MS = 60_000

const behaviour = breaking('behaviour')

const fillDisk = async (stage: Stage, trial: Trial, name: SiteName, disk: SmallDisk) => {
  const fullMs = stage.extent.short ? SHORT_FULL_MS : FULL_MS
  stage.note(`the disk of ${name} full, ${fullMs} ms`)
  const sinceMs = performance.now()
  disk.fill()
  await sleep(fullMs)
  disk.free()
  const freeMs = performance.now()
  await trial.untilReady()
  await trial.load.more(1)
  stage.tally.recovered(performance.now() - freeMs)
  const served = trial.recorder.draws.filter(
    ({ site, startedMs }) => site === name && startedMs >= sinceMs && startedMs < freeMs,
  )
  if (!served.some(({ outcome }) => outcome.result === 'refused')) {
    stage.tally.violations.push(behaviour(`no call was refused while the disk of ${name} was full`))
  }
}

export const diskFull: Scenario = {
  name: 'disk-full',
  what: 'the file system of one store full under load, then freed',
  async run(stage) {
    const disks = new Map<SiteName, SmallDisk>()
    await using trial = await Trial.start({
      seed: stage.dice.roll(2 ** 31),
      async prepare(lab) {
        for (const name of SITE_NAMES) {
          disks.set(name, await SmallDisk.mount(lab.path(`kme-${name}`), DISK_MIB))
        }
        return {
          async [Symbol.asyncDispose]() {
            for (const disk of disks.values()) await disk[Symbol.asyncDispose]()
          },
        }
      },
    })
    for (const site of trial.pair.sites) site.expectComplaint(/disk is full|STORE_FAILED|full/)
    trial.load.start()
    for (let round = 0; round < (stage.extent.short ? 1 : ROUNDS); round += 1) {
      for (const name of SITE_NAMES) {
        await trial.load.more(50 + stage.dice.roll(50))
        const disk = disks.get(name)
        if (disk) await fillDisk(stage, trial, name, disk)
      }
    }
    await trial.load.more(50)
    stage.tally.add(await trial.finish())
  },
}

/** It must end by itself, with a line that says why. */
const judgeEnd = ({ tally }: Stage, trial: Trial, name: SiteName): void => {
  const { process } = trial.site(name)
  const last = process?.err.at(-1) ?? ''
  if (!/^keyspring: store .*(SQLITE_IOERR|I\/O error).*check the disk/.test(last)) {
    tally.violations.push(behaviour(`${name} did not say why it ended: ${last}`))
  }
}

const breakDisk = async (stage: Stage, trial: Trial, name: SiteName, call: DiskCall) => {
  const { process } = trial.site(name)
  if (!process) throw new TypeError('it does not run')
  stage.note(`each ${call} of ${name} fails with EIO`)
  const fromMs = performance.now()
  process.expectEnd()
  const strace = await failCalls(process.pid, call)
  try {
    const limit = sleep(END_WITHIN_MS, null, { ref: false })
    const ended = await Promise.race([process.ended, limit])
    if (ended === null) throw new Error(`${name} goes on without a disk:\n${process.tail()}`)
    if (ended.code === null || ended.code === 0) {
      stage.tally.violations.push(behaviour(`${name} ended with ${ended.signal ?? ended.code}`))
    }
  } finally {
    strace.kill('SIGKILL')
  }
  trial.recorder.doubts.push({ site: name, fromMs, toMs: performance.now() })
  judgeEnd(stage, trial, name)
  stage.tally.recovered(await trial.recover())
}

export const ioError: Scenario = {
  name: 'io-error',
  what: 'I/O errors of one store: its KME ends with a line, and is started again',
  async run(stage) {
    await using trial = await Trial.start({ seed: stage.dice.roll(2 ** 31) })
    for (const site of trial.pair.sites) site.expectComplaint(/SQLITE_IOERR|had an I\/O error/)
    trial.load.start()
    for (let round = 0; round < (stage.extent.short ? 1 : ROUNDS); round += 1) {
      for (const call of ['fdatasync', 'fsync', 'pwrite64'] as const) {
        for (const name of SITE_NAMES) {
          await trial.load.more(50 + stage.dice.roll(50))
          await breakDisk(stage, trial, name, call)
        }
      }
    }
    await trial.load.more(50)
    stage.tally.add(await trial.finish())
  },
}
