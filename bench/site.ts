import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { AdminClient, type LinkView } from '../src/admin/client.ts'
import { Etsi014Client } from '../src/etsi014/client.ts'
import { wipe } from '../src/support/wipe.ts'
import type { Certificates, ClientTls } from './certificates.ts'
import { Child } from './child.ts'
import { type ConfigParts, LINK_ID, configText } from './kme-config.ts'
import { KEY_SIZE_BITS } from './operations.ts'
import { HOST } from './ports.ts'

const KEYSPRING = fileURLToPath(new URL('../bin/keyspring.js', import.meta.url))
const POLL_MS = 100
/** While a start is timed. */
const START_POLL_MS = 20
/** So often in a row nothing has changed. */
const LOOKS_AT_REST = 5
const LONGEST_WAIT_MS = 600_000

/** What is made once, whichever process it is for. */
export interface SiteGround {
  readonly folder: string
  readonly profileDir: string | null
  readonly certificates: Certificates
  readonly operator: ClientTls
  readonly stop: AbortController
}

export interface StartTimes {
  /** From the start of the process until its `/readyz` says ready. */
  readonly readyMs: number
  /** Until an SAE has a key. */
  readonly firstKeyMs: number
}

/** One KME that runs, and who talks to it. */
export class Site implements AsyncDisposable {
  readonly kmeId: string
  readonly saeId: string
  readonly saePort: number
  readonly tls: ClientTls
  /** Draws keys beforehand. */
  readonly client: Etsi014Client
  readonly #ground: SiteGround
  readonly #admin: AdminClient
  #child: Child

  private constructor(ground: SiteGround, { own }: ConfigParts, tls: ClientTls) {
    this.kmeId = own.kmeId
    this.saeId = own.saeId
    this.saePort = own.ports.sae
    this.tls = tls
    this.client = new Etsi014Client({ url: `https://${HOST}:${String(this.saePort)}`, ...tls })
    this.#ground = ground
    const url = `https://${HOST}:${String(own.ports.admin)}`
    this.#admin = new AdminClient({ url, ...ground.operator })
    this.#child = this.#serve()
  }

  /** Makes the store and starts the KME on it. */
  static async start(ground: SiteGround, config: ConfigParts): Promise<Site> {
    const { folder, certificates } = ground
    const { kmeId, saeId } = config.own
    const configFile = configFileOf(folder, kmeId)
    await mkdir(join(folder, kmeId), { mode: 0o700 })
    await writeFile(configFile, configText(config), { mode: 0o600 })
    {
      await using init = new Child({
        name: 'store init',
        script: KEYSPRING,
        args: ['store', 'init', '-c', configFile],
        logFile: logFileOf(folder, kmeId),
      })
      await init.succeed()
    }
    return new Site(ground, config, await certificates.issueClient('sae', saeId))
  }

  get child(): Child {
    return this.#child
  }

  async link(): Promise<LinkView> {
    return (await this.#admin.link(LINK_ID)).link
  }

  async untilReady(pollMs = POLL_MS): Promise<void> {
    while (!(await this.#isReady())) await this.#pause(pollMs)
  }

  /** Waits until `enough` says so of the link. @throws Error where it does not for minutes */
  async untilLink(enough: (link: LinkView) => boolean): Promise<void> {
    const sinceMs = performance.now()
    while (!enough(await this.link())) {
      if (performance.now() - sinceMs > LONGEST_WAIT_MS) {
        const { keys, pending } = await this.link()
        throw new Error(
          `${this.kmeId} does not come to what is waited for: ${JSON.stringify({ keys, pending })}`,
        )
      }
      await this.#pause(POLL_MS)
    }
  }

  untilItCanDeliver(keys: number): Promise<void> {
    return this.untilLink((link) => link.keys.deliverable >= keys)
  }

  /**
   * Waits until no key comes from the device any more. Blocks whose other half the paused device still
   * holds at the other end stay unverified.
   */
  async untilAtRest(): Promise<void> {
    let before = ''
    let looks = 0
    await this.untilLink(({ lanes, pending }) => {
      const now = [...lanes.map((lane) => lane.appendedBytes), pending.unverifiedBytes].join(' ')
      looks = now === before ? looks + 1 : 0
      before = now
      return looks >= LOOKS_AT_REST
    })
  }

  /** Stops the KME as an operator does and starts it again; `slaveId` is an SAE of the other one. */
  async restart(slaveId: string): Promise<StartTimes> {
    await this.#child[Symbol.asyncDispose]()
    const startedMs = performance.now()
    this.#child = this.#serve()
    await this.untilReady(START_POLL_MS)
    const readyMs = performance.now() - startedMs
    for (const { key } of await this.client.getKey(slaveId, { size: KEY_SIZE_BITS })) wipe(key)
    return { readyMs, firstKeyMs: performance.now() - startedMs }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close()
    await this.#child[Symbol.asyncDispose]()
  }

  #serve(): Child {
    const { folder, profileDir, stop } = this.#ground
    const name = this.kmeId
    const child = new Child({
      name,
      script: KEYSPRING,
      args: ['serve', '-c', configFileOf(folder, name)],
      execArgv:
        profileDir === null
          ? []
          : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`, `--cpu-prof-name=${name}.cpuprofile`],
      logFile: logFileOf(folder, name),
    })
    child.endsBenchmark(stop)
    return child
  }

  async #isReady(): Promise<boolean> {
    try {
      return (await this.#admin.ready()).ready
    } catch {
      return false
    }
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#ground.stop.signal })
  }
}

const configFileOf = (folder: string, kmeId: string): string => join(folder, `${kmeId}.yaml`)
const logFileOf = (folder: string, kmeId: string): string => join(folder, `${kmeId}.log`)
