import { setTimeout as sleep } from 'node:timers/promises'
import { readFile, writeFile } from 'node:fs/promises'
import { parse, stringify } from 'yaml'
import type { KmeSite } from '../../helpers/kme-site.ts'
import { SITE_NAMES, type SiteName } from '../record.ts'
import type { Scenario, Stage } from '../scenario.ts'
import { type DiskCall, killedAt } from '../stage/strace.ts'
import { Trial, untilReady } from '../stage/trial.ts'

/** Many more than a start and a delivery take. */
const MOST_CALLS = 400
/** Of the writes every so many-th is tried in the short version; the syncs are all tried. */
const SHORT_STRIDE = 9
const FETCH_ATTEMPTS = 400
const RETRY_MS = 50

interface ConfigFile {
  readonly links: readonly {
    readonly devices: readonly { readonly options: Record<string, unknown> }[]
  }[]
}

/** No more key comes: what reaches the disk then is of deliveries, not of blocks. */
const silenceDevice = async (site: KmeSite): Promise<void> => {
  const config = parse(await readFile(site.configFile, 'utf8')) as ConfigFile
  for (const { devices } of config.links) {
    for (const { options } of devices) Object.assign(options, { secretKeyRateBps: 1, speedUp: 1 })
  }
  await writeFile(site.configFile, stringify(config))
}

interface Due {
  readonly slaveId: string
  readonly masterId: string
  readonly keyIds: readonly string[]
}

/** One delivery each way, one of them to both sites; asked for until keys come, or the victim is gone. */
const deliverOnce = async (trial: Trial, victim: SiteName): Promise<readonly Due[]> => {
  const due: Due[] = []
  for (const [masterId, slaves] of [
    ['sae-a1', ['sae-b1', 'sae-a2']],
    ['sae-b1', ['sae-a1']],
  ] as const) {
    const [first, ...others] = slaves.map((saeId) => ({ saeId, site: trial.sae(saeId).site }))
    if (!first) throw new TypeError('no slave')
    const request = { slaves: [first, ...others] as const, number: 3, sizeBits: 256, asGet: false }
    let { keys } = await trial.sae(masterId).draw(request)
    while (keys.length === 0 && trial.site(victim).process?.isRunning === true) {
      await sleep(RETRY_MS)
      ;({ keys } = await trial.sae(masterId).draw(request))
    }
    if (keys.length === 0) continue
    const keyIds = keys.map(({ keyId }) => keyId)
    due.push(...slaves.map((slaveId) => ({ slaveId, masterId, keyIds })))
  }
  return due
}

/** Fetches until nothing more can come of it. */
const fetchOne = async (trial: Trial, { slaveId, masterId, keyIds }: Due): Promise<void> => {
  for (let attempt = 0; attempt < FETCH_ATTEMPTS; attempt += 1) {
    const { outcome } = await trial.sae(slaveId).fetch(masterId, keyIds)
    if (outcome.result === 'answered' || outcome.result === 'broken') return
    if (outcome.result === 'refused' && outcome.code !== 'NOT_READY') return
    await sleep(RETRY_MS)
  }
}

/** Kills the victim at its n-th call, counted from its start. @returns whether it had so many */
const killAt = async (
  stage: Stage,
  trial: Trial,
  victim: SiteName,
  call: DiskCall,
  n: number,
): Promise<boolean> => {
  const site = trial.site(victim)
  await site.end('SIGTERM')
  // Calls are counted by thread: commits are synced by one.
  site.launch({ wrap: killedAt(call, n), env: { UV_THREADPOOL_SIZE: '1' } }).expectEnd()
  const isUp = await untilReady(site).then(
    () => true,
    () => false,
  )
  if (!isUp && site.process?.isRunning === true)
    throw new Error(`${victim} hangs:\n${trial.tail()}`)
  const due = isUp ? await deliverOnce(trial, victim) : []
  const fetches = due.map((one) => fetchOne(trial, one))
  if (isUp) await Promise.race([Promise.all(fetches), site.process?.ended])
  const wasKilled = site.process?.isRunning === false
  const until = isUp ? 'a delivery' : 'the start'
  stage.note(
    `${victim} ${wasKilled ? 'killed at' : 'has no'} ${call} ${n} until the end of ${until}`,
  )
  if (wasKilled) stage.tally.recovered(await trial.recover())
  await Promise.all(fetches)
  return wasKilled
}

export const everyFsync: Scenario = {
  name: 'every-fsync',
  what: 'SIGKILL of either KME at each single fsync and fdatasync, and at writes, from its start to the end of a delivery',
  async run(stage) {
    await using trial = await Trial.start({ seed: stage.dice.roll(2 ** 31) })
    for (const site of trial.pair.sites) {
      await site.end('SIGTERM')
      await silenceDevice(site)
    }
    await trial.recover()
    for (const call of ['fsync', 'fdatasync', 'pwrite64'] as const) {
      const stride = call === 'pwrite64' && stage.extent.short ? SHORT_STRIDE : 1
      for (const victim of SITE_NAMES) {
        let n = 1 + stage.dice.roll(stride)
        while (await killAt(stage, trial, victim, call, n)) {
          n += stride
          if (n > MOST_CALLS) throw new Error(`${victim} never comes to the end of its ${call}s`)
        }
        // The survivor still has its n-th call before it.
        await trial.kill(victim)
        await trial.recover()
      }
    }
    stage.tally.add(await trial.finish())
  },
}
