import { execFile } from 'node:child_process'
import { appendFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { AdminClient, type LinkView } from '../../src/admin/client.ts'
import { patiently } from '../helpers/patiently.ts'
import { freePorts } from '../helpers/kme-lab.ts'
import { KmeProcess, runKeyspring } from '../helpers/kme-process.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)

/** The two sites, as they are named in `config/` and as a person would lay them out. */
type Letter = 'a' | 'b'

interface Ports {
  readonly sae: number
  readonly peer: number
  readonly admin: number
}

/** What a person changes in the example of each site: each line is there exactly once. */
const edits = (letter: Letter, own: Ports, other: Ports): readonly (readonly [string, string])[] =>
  letter === 'a'
    ? [
        ['#port: 8443', `port: ${own.sae}`],
        ['#port: 8444', `port: ${own.peer}`],
        ['#port: 8445', `port: ${own.admin}`],
        ['port: 9444', `port: ${other.peer}`],
        ['files: [certs/kme-ca.pem]', 'files: [certs/kme-ca.pem, certs/peers-kme-ca.pem]'],
        ['#settleMs: 2000', 'settleMs: 3000'],
        ['#pollMs: 1000', 'pollMs: 100'],
        ['#afterRead: delete', 'afterRead: keep'],
        ['#quarantinedFiles: delete', 'quarantinedFiles: keep'],
      ]
    : [
        ['port: 9443', `port: ${own.sae}`],
        ['port: 9444', `port: ${own.peer}`],
        ['port: 9445', `port: ${own.admin}`],
        ['port: 8444', `port: ${other.peer}`],
        ['files: [certs/kme-ca.pem]', 'files: [certs/kme-ca.pem, certs/peers-kme-ca.pem]'],
        [
          'directory: data/site-b/incoming',
          'directory: data/site-b/incoming\n          settleMs: 3000\n          pollMs: 100',
        ],
      ]

const edited = (text: string, changes: readonly (readonly [string, string])[]): string =>
  changes.reduce((result, [from, to]) => {
    if (result.split(from).length !== 2) throw new Error(`"${from}" is not there exactly once`)
    return result.replace(from, to)
  }, text)

export interface CurlAnswer {
  readonly status: number
  readonly body: { readonly keys?: readonly { readonly key_ID: string; readonly key: string }[] }
}

/** One site: its own folder, with its own CAs and certificates made by the openssl command. */
export class HandMadeSite {
  readonly letter: Letter
  readonly folder: string
  readonly ports: Ports
  process: KmeProcess | null = null
  readonly #former: KmeProcess[] = []

  constructor(letter: Letter, folder: string, ports: Ports) {
    this.letter = letter
    this.folder = folder
    this.ports = ports
  }

  get incoming(): string {
    return join(this.folder, `data/site-${this.letter}/incoming`)
  }

  get configFile(): string {
    return join(this.folder, `site-${this.letter}.yaml`)
  }

  /** Where the configuration looks for certificates. */
  get #certs(): string {
    return join(this.folder, 'certs')
  }

  /** CAs and certificates with the openssl command, under the names that the configuration wants. */
  async makeCertificates(algorithm: 'ec' | 'rsa'): Promise<void> {
    await run(join(ROOT, 'certs/openssl-pki.sh'), [this.#certs, algorithm])
  }

  /** Each site has its own CA for KMEs and lets the other's in. */
  async letIn(other: HandMadeSite): Promise<void> {
    const theirs = await readFile(join(other.#certs, 'kme-ca.pem'))
    await writeFile(join(this.#certs, 'peers-kme-ca.pem'), theirs)
  }

  async configure(other: HandMadeSite): Promise<void> {
    await mkdir(this.incoming, { recursive: true, mode: 0o700 })
    const example = await readFile(join(ROOT, `config/site-${this.letter}.yaml`), 'utf8')
    const changes = edits(this.letter, this.ports, other.ports)
    await writeFile(this.configFile, edited(example, changes))
    for (const command of [
      ['config', 'check'],
      ['store', 'init'],
    ]) {
      const { code, err } = await runKeyspring(...command, '-c', this.configFile)
      if (code !== 0) throw new Error(`${command.join(' ')} failed: ${err.join('\n')}`)
    }
  }

  async start(): Promise<void> {
    if (this.process) this.#former.push(this.process)
    const started = KmeProcess.serve(this.configFile)
    this.process = started
    const admin = await this.admin()
    await patiently(async () => {
      if (!started.isRunning) throw new Error(`it did not start:\n${started.tail()}`)
      return admin.ready().then(
        () => true,
        () => false,
      )
    }, `the start of site ${this.letter}`)
  }

  async restart(): Promise<void> {
    await this.process?.end('SIGTERM')
    await this.start()
  }

  /** Ends it and returns what it wrote that it should not have. */
  async stop(): Promise<readonly string[]> {
    await this.process?.end('SIGTERM')
    return [...this.#former, ...(this.process ? [this.process] : [])].flatMap((one) =>
      one.complaints(),
    )
  }

  async admin(): Promise<AdminClient> {
    const [cert, key, ca] = await Promise.all(
      ['operator.pem', 'operator.key', 'kme-ca.pem'].map((file) =>
        readFile(join(this.#certs, file)),
      ),
    )
    if (!cert || !key || !ca) throw new TypeError('three files')
    return new AdminClient({ url: `https://127.0.0.1:${this.ports.admin}`, cert, key, ca })
  }

  async link(): Promise<LinkView> {
    const [link] = await (await this.admin()).links()
    if (!link) throw new TypeError('no link')
    return link
  }

  async receivedBytes(): Promise<number> {
    return (await this.link()).ledger.receivedBytes
  }

  /** curl as the SAE of this site. */
  async curl(path: string, ...more: readonly string[]): Promise<CurlAnswer> {
    const { stdout } = await run('curl', [
      ...['--silent', '--show-error', '--max-time', '30', '--write-out', '\n%{http_code}'],
      ...['--cacert', join(this.#certs, 'kme-ca.pem')],
      ...['--cert', join(this.#certs, `sae-${this.letter}.pem`)],
      ...['--key', join(this.#certs, `sae-${this.letter}.key`)],
      ...more,
      `https://127.0.0.1:${this.ports.sae}/api/v1/keys/${path}`,
    ])
    const cut = stdout.lastIndexOf('\n')
    return { status: Number(stdout.slice(cut)), body: JSON.parse(stdout.slice(0, cut)) }
  }

  /** As a device does it well: under another name, then renamed into place. */
  async put(name: string, content: Buffer): Promise<void> {
    const unfinished = join(this.incoming, `${name}.part`)
    await writeFile(unfinished, content, { mode: 0o600 })
    await rename(unfinished, join(this.incoming, name))
  }

  /** As a device does it badly: under its name, a piece at a time. */
  async append(name: string, piece: Buffer): Promise<void> {
    await appendFile(join(this.incoming, name), piece, { mode: 0o600 })
  }
}

export interface HandMadePair {
  readonly a: HandMadeSite
  readonly b: HandMadeSite
  stop(): Promise<void>
}

/** Both sites of `config/`, site A with EC certificates and site B with RSA. */
export const makeSitesByHand = async (): Promise<HandMadePair> => {
  const home = await mkdtemp(join(tmpdir(), 'by hand '))
  const [saeA = 0, peerA = 0, adminA = 0, saeB = 0, peerB = 0, adminB = 0] = await freePorts(6)
  const a = new HandMadeSite('a', join(home, 'a'), { sae: saeA, peer: peerA, admin: adminA })
  const b = new HandMadeSite('b', join(home, 'b'), { sae: saeB, peer: peerB, admin: adminB })
  const stop = async (): Promise<void> => {
    const complaints = [...(await a.stop()), ...(await b.stop())]
    await rm(home, { recursive: true, force: true })
    if (complaints.length > 0) throw new Error(`the KMEs did not behave:\n${complaints.join('\n')}`)
  }
  try {
    await Promise.all([a.makeCertificates('ec'), b.makeCertificates('rsa')])
    await Promise.all([a.letIn(b), b.letIn(a)])
    await a.configure(b)
    await b.configure(a)
    await Promise.all([a.start(), b.start()])
    return { a, b, stop }
  } catch (error) {
    await stop().catch(() => undefined)
    throw error
  }
}
