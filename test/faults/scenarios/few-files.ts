import { once } from 'node:events'
import { type Socket, connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { HOST } from '../../helpers/kme-lab.ts'
import { SITE_NAMES, type SiteName } from '../record.ts'
import type { Scenario, Stage } from '../scenario.ts'
import { Trial } from '../stage/trial.ts'

const FILES = 256
/** More than it may have open. */
const CLIENTS = 400
const TAKEN_MS = 20_000
const SHORT_TAKEN_MS = 3_000
const ROUNDS = 3

/** Clients that open connections and say nothing. */
const takeAll = async (port: number): Promise<readonly Socket[]> => {
  const sockets = Array.from({ length: CLIENTS }, () => connect({ host: HOST, port }))
  for (const socket of sockets) socket.on('error', () => undefined)
  await Promise.all(
    sockets.map((socket) => Promise.race([once(socket, 'connect'), once(socket, 'close')])),
  )
  return sockets
}

const takeFiles = async (stage: Stage, trial: Trial, name: SiteName): Promise<void> => {
  await trial.load.more(50)
  const ms = stage.extent.short ? SHORT_TAKEN_MS : TAKEN_MS
  stage.note(`${CLIENTS} silent clients at ${name}, ${ms} ms`)
  const { ports } = trial.site(name)
  const sockets = [...(await takeAll(ports.sae)), ...(await takeAll(ports.peer))]
  await sleep(ms)
  for (const socket of sockets) socket.destroy()
  const freeMs = performance.now()
  await trial.untilReady()
  await trial.load.more(1)
  stage.tally.recovered(performance.now() - freeMs)
}

export const fewFiles: Scenario = {
  name: 'few-files',
  what: `KMEs that may open ${FILES} files, and silent clients that take them all`,
  async run(stage) {
    await using trial = await Trial.start({
      seed: stage.dice.roll(2 ** 31),
      launch: () => ({ wrap: ['prlimit', `--nofile=${FILES}:${FILES}`] }),
    })
    trial.load.start()
    for (let round = 0; round < (stage.extent.short ? 1 : ROUNDS); round += 1) {
      for (const name of SITE_NAMES) await takeFiles(stage, trial, name)
    }
    await trial.load.more(50)
    stage.tally.add(await trial.finish())
  },
}
