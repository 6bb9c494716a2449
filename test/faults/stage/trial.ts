import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { settledBooks } from '../../e2e/books.ts'
import { KmeLab, type KmeLabOptions } from '../../helpers/kme-lab.ts'
import type { KmeProcessOptions } from '../../helpers/kme-process.ts'
import {
  type KmePair,
  type KmePairOptions,
  LINK_ID,
  isPortTaken,
  makePair,
} from '../../helpers/kme-pair.ts'
import type { KmeSite } from '../../helpers/kme-site.ts'
import { Dice } from '../../links/chaos/dice.ts'
import { check } from '../checker/check.ts'
import type { Evidence, StoreFacts, Violation } from '../checker/evidence.ts'
import { DEFAULT_TERMS, type Leak, SITE_NAMES, type SiteName, type Terms } from '../record.ts'
import { Recorder } from '../recorder.ts'
import { LeakScan } from './leak-scan.ts'
import { Load } from './load.ts'
import { Sae } from './sae.ts'
import { onEarlyEnd } from './stop.ts'
import { readStoreFacts } from './store-facts.ts'
import { storeFileOf } from './store-files.ts'

export const SAES: Readonly<Record<SiteName, readonly string[]>> = {
  a: ['sae-a1', 'sae-a2'],
  b: ['sae-b1', 'sae-b2'],
}

const LOOK_EVERY_MS = 25
const READY_WITHIN_MS = 60_000
const START_ATTEMPTS = 5

/** Half a megabyte of key a second, until the pool is full: what limits is the KMEs. */
const SIMULATOR = { secretKeyRateBps: 1_000_000, speedUp: 4, blockBytes: 16_384 }

export interface TrialOptions {
  /** What the link is configured to promise; default: `confirm: peer`, each key once. */
  readonly terms?: Partial<Terms>
  readonly pair?: KmePairOptions
  readonly lab?: KmeLabOptions
  /** Chance of the load: the same dice, the same requests. */
  readonly seed: number
  /**
   * Runs before a KME is made, when its folder may be; what it returns is disposed of before the lab
   * is removed.
   */
  readonly prepare?: (lab: KmeLab) => Promise<AsyncDisposable | null>
  /** How the KMEs are started, if not plainly. */
  readonly launch?: (site: SiteName) => Omit<KmeProcessOptions, 'endWithParent'>
}

export interface Verdict {
  readonly violations: readonly Violation[]
  readonly draws: number
  readonly fetches: number
  /** Keys that a master received. */
  readonly keys: number
}

/** Two KMEs under load, everything that their clients see recorded, and judged in the end. */
export class Trial implements AsyncDisposable {
  readonly pair: KmePair
  readonly recorder: Recorder
  readonly load: Load
  readonly saes: readonly Sae[]
  readonly #options: TrialOptions
  readonly #forget: () => void
  /** What it stands on: the lab and what was prepared in it. */
  #ground: AsyncDisposableStack | null = null
  /** What operators were shown. */
  readonly #shown: string[] = []

  private constructor(
    pair: KmePair,
    saes: readonly Sae[],
    options: TrialOptions,
    recorder: Recorder,
  ) {
    this.pair = pair
    this.saes = saes
    this.recorder = recorder
    this.#options = options
    const { redeliveryWindowS } = { ...DEFAULT_TERMS, ...options.terms }
    this.load = new Load(saes, {
      diceOf: (saeId) => new Dice(options.seed + hashOf(saeId)),
      redeliveryWindowMs: redeliveryWindowS * 1000,
    })
    this.#forget = onEarlyEnd(() => this[Symbol.asyncDispose]())
  }

  /** Starts both and waits until they deliver keys. */
  static async start(options: TrialOptions): Promise<Trial> {
    await using opened = new AsyncDisposableStack()
    const lab = await KmeLab.make(options.lab)
    opened.defer(() => lab.remove())
    opened.defer(onEarlyEnd(() => lab.remove()))
    const prepared = await options.prepare?.(lab)
    if (prepared) opened.use(prepared)
    const trial = await startIn(
      lab,
      options,
      (pair, saes, recorder) => new Trial(pair, saes, options, recorder),
    )
    trial.#ground = opened.move()
    return trial
  }

  site(name: SiteName): KmeSite {
    return this.pair[name]
  }

  sae(saeId: string): Sae {
    const found = this.saes.find((sae) => sae.saeId === saeId)
    if (!found) throw new TypeError(`no SAE ${saeId}`)
    return found
  }

  /** Starts KMEs that do not run, and waits until both sites deliver keys: how long that took. */
  async recover(options: Omit<KmeProcessOptions, 'endWithParent'> = {}): Promise<number> {
    const launchedMs = performance.now()
    const launched = SITE_NAMES.filter((name) => this.site(name).process?.isRunning !== true)
    for (const name of launched) {
      this.site(name).launch({ ...this.#options.launch?.(name), ...options })
    }
    await this.untilReady()
    const readyMs = performance.now()
    this.recorder.starts.push(...launched.map((site) => ({ site, launchedMs, readyMs })))
    return readyMs - launchedMs
  }

  /** Waits until both sites deliver keys. */
  async untilReady(): Promise<void> {
    await Promise.all(SITE_NAMES.map((name) => untilReady(this.site(name))))
  }

  async kill(name: SiteName): Promise<void> {
    await this.site(name).end('SIGKILL')
  }

  /** Lets the slaves fetch the rest, stops both in order, and judges. */
  async finish(): Promise<Verdict> {
    await this.load.stop()
    await this.untilReady()
    await this.load.drain()
    await settledBooks(this.pair)
    for (const { admin } of this.pair.sites) this.#shown.push(JSON.stringify(await admin.status()))
    for (const sae of this.saes) sae.close()
    for (const site of this.pair.sites) await site.stop()
    const evidence = await this.#evidence()
    const { draws, fetches } = this.recorder
    return {
      violations: check(evidence),
      draws: draws.length,
      fetches: fetches.length,
      keys: draws.reduce((sum, { keys }) => sum + keys.length, 0),
    }
  }

  /** Kills what still runs and removes everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#forget()
    void this.load.stop().catch(() => undefined)
    for (const sae of this.saes) sae.close()
    for (const { process } of this.pair.sites) {
      if (process?.isRunning !== true) continue
      process.signal('SIGCONT')
      await process.end('SIGKILL')
    }
    await this.#ground?.disposeAsync()
  }

  /** The last lines of both logs. */
  tail(): string {
    return this.pair.sites
      .map(({ kmeId, process }) => `--- ${kmeId}\n${process?.tail() ?? ''}`)
      .join('\n')
  }

  async #evidence(): Promise<Evidence> {
    const { draws, fetches, restores, doubts, starts, windows } = this.recorder
    return {
      terms: { ...DEFAULT_TERMS, ...this.#options.terms },
      draws,
      fetches,
      restores,
      doubts,
      starts,
      windows,
      stores: { a: await this.#facts('a'), b: await this.#facts('b') },
      leaks: await this.#leaks(),
      complaints: this.pair.sites.flatMap((site) => site.complaints()),
    }
  }

  async #facts(name: SiteName): Promise<StoreFacts> {
    const site = this.site(name)
    return readStoreFacts({
      path: await storeFileOf(site),
      kekFile: this.pair.lab.path(site.kmeId, 'kek.key'),
      linkId: LINK_ID,
    })
  }

  async #leaks(): Promise<readonly Leak[]> {
    const scan = new LeakScan(this.recorder.fingerprinter, this.recorder.windows.values())
    const leaks: Leak[] = []
    for (const { kmeId, processes } of this.pair.sites) {
      const folder = this.pair.lab.path(kmeId)
      const entries = await readdir(folder, { recursive: true, withFileTypes: true })
      for (const entry of entries.filter((one) => one.isFile())) {
        const path = join(entry.parentPath, entry.name)
        leaks.push(...scan.find(path, await readFile(path)))
      }
      const log = processes.flatMap(({ out, err }) => [...out, ...err]).join('\n')
      leaks.push(...scan.find(`the log of ${kmeId}`, Buffer.from(log)))
    }
    return [...leaks, ...scan.find('the admin listener', Buffer.from(this.#shown.join('\n')))]
  }
}

const hashOf = (text: string): number =>
  Buffer.from(text).reduce((hash, byte) => Math.imul(hash, 31) + byte, 7)

/** @throws Error with its reasons where it does not get ready, and at once where its process ended */
export const untilReady = async (site: KmeSite): Promise<void> => {
  const giveUpMs = performance.now() + READY_WITHIN_MS
  let last = 'no answer'
  for (;;) {
    if (site.process?.isRunning !== true) {
      throw new Error(`${site.kmeId} ended:\n${site.process?.tail() ?? ''}`)
    }
    const answer = await site.admin.ready().catch(() => null)
    if (answer?.ready === true) return
    if (answer) last = JSON.stringify(answer.reasons)
    if (performance.now() > giveUpMs) {
      throw new Error(`${site.kmeId} is not ready: ${last}\n${site.process.tail()}`)
    }
    await sleep(LOOK_EVERY_MS)
  }
}

const startIn = async (
  lab: KmeLab,
  options: TrialOptions,
  make: (pair: KmePair, saes: readonly Sae[], recorder: Recorder) => Trial,
): Promise<Trial> => {
  for (let attempt = 1; ; attempt += 1) {
    const recorder = new Recorder()
    const pair = await makePair(lab, {
      saesA: SAES.a,
      saesB: SAES.b,
      ...options.pair,
      link: { ...options.terms, ...options.pair?.link },
      simulator: { ...SIMULATOR, ...options.pair?.simulator },
    })
    const trial = make(pair, await openSaes(pair, recorder), recorder)
    try {
      await trial.recover()
      return trial
    } catch (error) {
      const isTaken = isPortTaken(error) || isPortTaken(new Error(trial.tail()))
      if (isTaken && attempt < START_ATTEMPTS) {
        for (const { process } of pair.sites) if (process?.isRunning) await process.end('SIGKILL')
        continue
      }
      await trial[Symbol.asyncDispose]()
      throw error
    }
  }
}

const openSaes = async (pair: KmePair, recorder: Recorder): Promise<readonly Sae[]> => {
  const saes: Sae[] = []
  for (const site of SITE_NAMES) {
    for (const saeId of SAES[site]) {
      const certificate = await pair.lab.certificate('sae', saeId)
      saes.push(new Sae({ saeId, site, url: pair[site].url, certificate }, recorder))
    }
  }
  return saes
}
