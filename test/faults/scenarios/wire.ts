import { setTimeout as sleep } from 'node:timers/promises'
import type { Dice } from '../../links/chaos/dice.ts'
import { breaking } from '../checker/evidence.ts'
import type { Scenario, Stage } from '../scenario.ts'
import { type Behaviour, faithful } from '../stage/peer-proxy.ts'
import type { Trial } from '../stage/trial.ts'
import { withWire } from '../stage/wired-trial.ts'

const healed = async ({ tally }: Stage, trial: Trial): Promise<void> => {
  const healedMs = performance.now()
  await trial.untilReady()
  tally.recovered(performance.now() - healedMs)
}

const PARTITION_MS = 60_000
const SHORT_PARTITION_MS = 5_000

const lost = (what: 'request' | 'answer', cutOff: boolean): Behaviour => {
  const handling = { lose: what, cutOff }
  return () => handling
}

/** For how long, from the dice. */
const outageMs = ({ dice, extent }: Stage): number =>
  extent.short ? SHORT_PARTITION_MS + dice.roll(2_000) : PARTITION_MS - 30_000 + dice.roll(30_000)

export const partition: Scenario = {
  name: 'partition',
  what: 'the two KMEs cut off from each other: connections broken; messages swallowed both ways',
  run: (stage) =>
    withWire(stage, async (trial, wire) => {
      for (const swallow of [false, true]) {
        await trial.load.more(50)
        const ms = outageMs(stage)
        stage.note(`${swallow ? 'messages swallowed' : 'connections cut'}, ${ms} ms`)
        for (const proxy of [wire.a, wire.b]) {
          if (swallow) proxy.behaviour = lost('request', false)
          else proxy.cut()
        }
        await sleep(ms)
        for (const proxy of [wire.a, wire.b]) {
          proxy.behaviour = faithful
          proxy.mend()
        }
        await healed(stage, trial)
      }
    }),
}

export const oneWay: Scenario = {
  name: 'one-way',
  what: 'messages of one KME, or the answers to them, lost while the other direction works',
  run: (stage) =>
    withWire(stage, async (trial, wire) => {
      for (const [name, what] of [
        ['a', 'request'],
        ['a', 'answer'],
        ['b', 'request'],
        ['b', 'answer'],
      ] as const) {
        await trial.load.more(50)
        const ms = outageMs(stage)
        const cutOff = stage.dice.once(2)
        stage.note(`each ${what} of ${name} ${cutOff ? 'cut off' : 'swallowed'}, ${ms} ms`)
        wire[name].behaviour = lost(what, cutOff)
        await sleep(ms)
        wire[name].behaviour = faithful
        await healed(stage, trial)
      }
    }),
}

/** Each request has its own fate. */
const disorder = (dice: Dice): Behaviour => {
  const losses = [
    { lose: 'request', cutOff: true },
    { lose: 'answer', cutOff: true },
    { lose: 'answer', cutOff: false },
  ] as const
  return () => ({
    copies: dice.once(4) ? 2 + dice.roll(2) : 1,
    delayMs: dice.once(4) ? dice.roll(400) : 0,
    ...(dice.once(4) ? { againAfterMs: dice.roll(8_000) } : {}),
    ...(dice.once(12) ? losses[dice.roll(losses.length)] : {}),
  })
}

/** Slow, and each fifth message gets no answer at once or never arrives. */
const slow = (dice: Dice): Behaviour => {
  const losses = [
    { lose: 'request', cutOff: true },
    { lose: 'request', cutOff: false },
    { lose: 'answer', cutOff: false },
  ] as const
  return () => ({
    delayMs: 500,
    ...(dice.once(5) ? losses[dice.roll(losses.length)] : {}),
  })
}

const behaviour = breaking('behaviour')

/** Longer than any call may wait for the peer; a busy machine gets much more. */
const ANSWER_WITHIN_MS = 10_000

export const slowWire: Scenario = {
  name: 'slow-wire',
  what: 'each message between the KMEs half a second late, one of five lost',
  run: (stage) =>
    withWire(stage, async (trial, wire) => {
      await trial.load.more(50)
      const ms = outageMs(stage)
      stage.note(`500 ms late, one of five lost, ${ms} ms`)
      const fromMs = performance.now()
      for (const proxy of [wire.a, wire.b]) proxy.behaviour = slow(stage.dice)
      await sleep(ms)
      for (const proxy of [wire.a, wire.b]) proxy.behaviour = faithful
      await healed(stage, trial)
      const { draws, fetches } = trial.recorder
      const stuck = [...draws, ...fetches].filter(
        ({ startedMs, endedMs }) => endedMs >= fromMs && endedMs - startedMs > ANSWER_WITHIN_MS,
      )
      for (const { call, site, startedMs, endedMs } of stuck) {
        const waitedMs = Math.round(endedMs - startedMs)
        stage.tally.violations.push(behaviour(`a ${call} at ${site} waited ${waitedMs} ms`))
      }
    }),
}

const ROUNDS = 12
const SHORT_ROUNDS = 3

export const messages: Scenario = {
  name: 'messages',
  what: 'messages between the KMEs doubled, delayed, overtaken, lost, and repeated after restarts',
  run: (stage) =>
    withWire(stage, async (trial, wire) => {
      const { dice, extent } = stage
      for (let round = 0; round < (extent.short ? SHORT_ROUNDS : ROUNDS); round += 1) {
        for (const proxy of [wire.a, wire.b]) proxy.behaviour = disorder(dice)
        await trial.load.more(40)
        const victim = dice.once(2) ? 'a' : 'b'
        stage.note(`disorder, SIGKILL ${victim} in it, old messages repeated`)
        await trial.kill(victim)
        const startedMs = performance.now()
        const recovery = trial.recover()
        const repeated = Promise.all([wire.a.repeatOld(), wire.b.repeatOld()])
        await recovery
        stage.tally.recovered(performance.now() - startedMs)
        await repeated
        await Promise.all([wire.a.repeatOld(), wire.b.repeatOld()])
        await trial.load.more(20)
        for (const proxy of [wire.a, wire.b]) proxy.behaviour = faithful
        await trial.untilReady()
      }
    }),
}
