import { writeFile } from 'node:fs/promises'
import { stringify } from 'yaml'
import { AdminClient, type LinkView } from '../../src/admin/client.ts'
import { Etsi014Client } from '../../src/etsi014/client.ts'
import { type Ended, KmeProcess, type KmeProcessOptions, runKeyspring } from './kme-process.ts'
import { HOST, type KmeLab } from './kme-lab.ts'
import { patiently } from './patiently.ts'

export interface SitePorts {
  readonly sae: number
  readonly peer: number
  readonly admin: number
}

export interface SaeEntry {
  readonly id: string
  readonly loopback?: boolean
}

export interface SiteSpec {
  readonly kmeId: string
  readonly saes: readonly SaeEntry[]
  readonly peers?: readonly unknown[]
  readonly links: readonly unknown[]
  /** Whose certificate it shows; default: its own. */
  readonly certificateOf?: string
  /** More options of the SAE listener. */
  readonly saeListener?: Readonly<Record<string, unknown>>
}

type Row = Readonly<Record<string, unknown>>

/** One KME of a lab: its configuration, its process, and who calls it. */
export class KmeSite {
  readonly kmeId: string
  readonly ports: SitePorts
  readonly configFile: string
  readonly admin: AdminClient
  process: KmeProcess | null = null
  readonly #lab: KmeLab
  readonly #clients = new Map<string, Promise<Etsi014Client>>()
  readonly #former: KmeProcess[] = []
  readonly #expected: RegExp[] = []

  private constructor(lab: KmeLab, spec: SiteSpec, ports: SitePorts, admin: AdminClient) {
    this.#lab = lab
    this.kmeId = spec.kmeId
    this.ports = ports
    this.configFile = lab.path(`${spec.kmeId}.yaml`)
    this.admin = admin
  }

  /** Writes the configuration, and makes the store with the CLI where there is none. */
  static async make(lab: KmeLab, spec: SiteSpec, ports: SitePorts): Promise<KmeSite> {
    const { cert, key, ca } = await lab.certificate('operator', 'operator')
    const url = `https://${HOST}:${ports.admin}`
    const site = new KmeSite(lab, spec, ports, new AdminClient({ url, cert, key, ca }))
    await writeFile(site.configFile, stringify(await configOf(lab, spec, ports)))
    const { code, err } = await runKeyspring('store', 'init', '-c', site.configFile)
    if (code !== 0) throw new Error(`store init failed: ${err.join('\n')}`)
    return site
  }

  get url(): string {
    return `https://${HOST}:${this.ports.sae}`
  }

  /** Starts the process. */
  launch(options: Omit<KmeProcessOptions, 'endWithParent'> = {}): KmeProcess {
    if (this.process?.isRunning) throw new TypeError(`${this.kmeId} runs already`)
    if (this.process) this.#former.push(this.process)
    this.process = KmeProcess.serve(this.configFile, options)
    return this.process
  }

  /** Every process that it had, the present one last. */
  get processes(): readonly KmeProcess[] {
    return [...this.#former, ...(this.process ? [this.process] : [])]
  }

  /** Starts the process and waits until it answers operators. */
  async start(): Promise<void> {
    const started = this.launch()
    await patiently(async () => {
      if (!started.isRunning) throw new Error(`${this.kmeId} did not start:\n${started.tail()}`)
      return this.admin.ready().then(
        () => true,
        () => false,
      )
    }, `the start of ${this.kmeId}`)
  }

  /** Waits until it can deliver keys. */
  async ready(): Promise<void> {
    let last: unknown = null
    await patiently(async () => {
      last = await this.admin.ready()
      return (last as { ready: boolean }).ready
    }, `${this.kmeId} ready`).catch((error: unknown) => {
      throw new Error(`${this.kmeId} is not ready: ${JSON.stringify(last)}`, { cause: error })
    })
  }

  async end(signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL'): Promise<Ended> {
    if (!this.process) throw new TypeError(`${this.kmeId} was not started`)
    return this.process.end(signal)
  }

  /** Ends it, hard by default, and starts it on the same store. */
  async restart(signal: 'SIGTERM' | 'SIGKILL' = 'SIGKILL'): Promise<void> {
    await this.end(signal)
    await this.start()
  }

  /** The one link. */
  async link(): Promise<LinkView> {
    const [link] = await this.admin.links()
    if (!link) throw new TypeError('no link')
    return link
  }

  /** Turns a switch of the one device of the one link. */
  async control(name: string, value: string | number | boolean): Promise<void> {
    const { linkId, devices } = await this.link()
    await this.admin.control(linkId, devices[0]?.deviceId ?? '', name, value)
  }

  /** A client as that SAE, registered here or not. */
  sae(name: string): Promise<Etsi014Client> {
    const client = this.#clients.get(name) ?? this.#makeClient(name)
    this.#clients.set(name, client)
    return client
  }

  /** A line of level `error` that this test is about. */
  expectComplaint(pattern: RegExp): void {
    this.#expected.push(pattern)
  }

  /** What its processes wrote that they should not have. */
  complaints(): readonly string[] {
    return this.processes.flatMap((one) =>
      one.complaints(this.#expected).map((line) => `${this.kmeId}: ${line}`),
    )
  }

  /** Ends the process in order, if it runs, and closes the clients. */
  async stop(): Promise<void> {
    for (const client of this.#clients.values()) (await client).close()
    this.#clients.clear()
    if (this.process?.isRunning) await this.process.end('SIGTERM')
  }

  async #makeClient(name: string): Promise<Etsi014Client> {
    const { cert, key, ca } = await this.#lab.certificate('sae', name)
    return new Etsi014Client({ url: this.url, cert, key, ca, timeoutMs: 45_000 })
  }
}

const configOf = async (lab: KmeLab, spec: SiteSpec, ports: SitePorts): Promise<Row> => {
  const { certFile, keyFile } = await lab.certificate('kme', spec.certificateOf ?? spec.kmeId)
  const listener = (port: number, role: 'sae' | 'kme' | 'operator'): Row => ({
    host: HOST,
    port,
    certFile,
    keyFile,
    cas: [lab.ca(role)],
  })
  return {
    version: 1,
    kme: { id: spec.kmeId },
    listeners: {
      sae: { ...listener(ports.sae, 'sae'), ...spec.saeListener },
      peer: listener(ports.peer, 'kme'),
      admin: listener(ports.admin, 'operator'),
    },
    store: {
      type: 'sqlite',
      path: `${spec.kmeId}/keyspring.db`,
      kekFile: `${spec.kmeId}/kek.key`,
    },
    identity: { rules: [{ ca: 'sae-ca', from: 'cn' }] },
    saes: spec.saes.map((sae) => ({ ...sae, ca: 'sae-ca' })),
    peers: spec.peers ?? [],
    links: spec.links,
    allowSimulated: true,
  }
}
