import { loadConfig } from '../../src/config/load.ts'
import { type RunningKme, startKme } from '../../src/kme.ts'
import { createObserver } from '../../src/log.ts'
import type { OfferOutcome } from '../../src/ports/qkd-driver.ts'
import { patiently } from '../helpers/patiently.ts'
import { KmeLab } from '../helpers/kme-lab.ts'
import { type KmePair, type KmePairOptions, isPortTaken, makePair } from '../helpers/kme-pair.ts'
import type { KmeSite } from '../helpers/kme-site.ts'
import { PushDriver } from '../helpers/push-driver.ts'

const ATTEMPTS = 5

export interface PushedBlock {
  readonly vendorId: string
  readonly material: Buffer
}

/** One KME in this process whose device offers what a test gives it. */
export class PushedKme {
  readonly site: KmeSite
  readonly driver = new PushDriver()
  /** Lines of level `error`. */
  readonly errors: string[] = []
  #kme: RunningKme | null = null

  constructor(site: KmeSite) {
    this.site = site
  }

  async start(): Promise<void> {
    const observer = createObserver({
      level: 'error',
      wallMs: Date.now,
      onBytes: 'throw',
      write: (line) => this.errors.push(line),
    })
    this.#kme = await startKme(await loadConfig(this.site.configFile), {
      observer,
      version: 'test',
      runtimeWarning: null,
      createDriver: () => this.driver,
    })
  }

  push(...blocks: readonly PushedBlock[]): Promise<readonly OfferOutcome[]> {
    return this.driver.push(...blocks)
  }

  async stop(): Promise<void> {
    await this.site.stop()
    await this.#kme?.stop(0)
    // Whatever the end of the link might set off has begun by then.
    await new Promise(setImmediate)
    if (this.driver.isOpen) this.errors.push('its device is open after the stop')
  }
}

/** Two KMEs with all that a real one has but processes of their own and devices. */
export interface PushedPair {
  readonly a: PushedKme
  readonly b: PushedKme
  stop(): Promise<void>
}

const startOnce = async (pair: KmePair): Promise<PushedPair> => {
  const [a, b] = [new PushedKme(pair.a), new PushedKme(pair.b)]
  const stop = async (): Promise<void> => {
    await Promise.all([a.stop(), b.stop()])
  }
  try {
    await a.start()
    await b.start()
    await patiently(() => a.driver.isOpen && b.driver.isOpen, 'two devices that are open')
    return { a, b, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

export const startPushedPair = async (options: KmePairOptions = {}): Promise<PushedPair> => {
  const lab = await KmeLab.make()
  for (let attempt = 1; ; attempt += 1) {
    try {
      const pair = await startOnce(await makePair(lab, options))
      const stop = async (): Promise<void> => {
        await pair.stop()
        await lab.remove()
        const errors = [...pair.a.errors, ...pair.b.errors]
        if (errors.length > 0) throw new Error(`the KMEs did not behave:\n${errors.join('\n')}`)
      }
      return { ...pair, stop }
    } catch (error) {
      if (isPortTaken(error) && attempt < ATTEMPTS) continue
      await lab.remove()
      throw error
    }
  }
}
