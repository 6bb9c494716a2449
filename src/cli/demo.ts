import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { Command, Option } from 'commander'
import { AdminClient, type StatusAnswer } from '../admin/client.ts'
import type { DemoClients, DrawnKey, KmeFigures } from '../demo/clients.ts'
import { runDemo } from '../demo/demo.ts'
import { type CertificatePaths, type DemoLayout, type DemoSite, HOST } from '../demo/layout.ts'
import {
  DEFAULT_DIR,
  DEFAULT_KM,
  DEFAULT_PORT_BASE,
  DEMO_PRESETS,
  type DemoArguments,
  PORT_SPAN,
  demoOptions,
} from '../demo/options.ts'
import { type DemoReport, JsonReport, PeopleReport } from '../demo/report.ts'
import { PlainScreen, TerminalScreen } from '../demo/screen.ts'
import { KmeError } from '../errors.ts'
import { Etsi014Client } from '../etsi014/client.ts'
import type { KeyMessage } from '../etsi014/messages.ts'
import { wipe } from '../support/wipe.ts'
import type { CliIo } from './terminal.ts'

/** A second interrupt this much later means it; npm hands on the one that the terminal sent as well. */
const SAME_INTERRUPT_MS = 1000
/** More than a poll takes, less than a person waits for a KME that hangs. */
const FIGURES_TIMEOUT_MS = 3000

interface Pems {
  readonly cert: Buffer
  readonly key: Buffer
  readonly ca: Buffer
}

const withPems = async <T>(
  { caFile }: DemoLayout,
  { certFile, keyFile }: CertificatePaths,
  use: (pems: Pems) => Promise<T>,
): Promise<T> => {
  const [ca, cert, key] = await Promise.all([
    readFile(caFile),
    readFile(certFile),
    readFile(keyFile),
  ])
  try {
    return await use({ ca, cert, key })
  } finally {
    wipe(key)
  }
}

const figuresOf = ({ kme, ready, reasons, links }: StatusAnswer): KmeFigures => {
  const device = links[0]?.devices[0]
  return {
    kmeId: kme.kmeId,
    ready,
    reason: reasons[0]?.message ?? null,
    keysStored: links.reduce((sum, { keys }) => sum + keys.deliverable, 0),
    qber: device?.qber ?? null,
    secretKeyRateBps: device?.secretKeyRateBps ?? null,
  }
}

const asSae = (
  layout: DemoLayout,
  site: DemoSite,
  ask: (client: Etsi014Client) => Promise<readonly KeyMessage[]>,
): Promise<DrawnKey> =>
  withPems(layout, site.sae, async (pems) => {
    using client = new Etsi014Client({ url: `https://${HOST}:${String(site.saePort)}`, ...pems })
    const [message] = await ask(client)
    if (message === undefined) throw new KmeError('PROTOCOL', `${site.kmeId} gave no key`)
    return { keyId: message.key_ID, key: message.key }
  })

const clients: DemoClients = {
  figures: (layout, site) =>
    withPems(layout, layout.operator, async (pems) => {
      const url = `https://${HOST}:${String(site.adminPort)}`
      const admin = new AdminClient({ url, ...pems, timeoutMs: FIGURES_TIMEOUT_MS })
      return figuresOf(await admin.status())
    }),
  drawKey: (layout, site, slaveId) => asSae(layout, site, (client) => client.getKey(slaveId)),
  fetchKey: (layout, site, masterId, keyId) =>
    asSae(layout, site, (client) => client.getKeysWithIds(masterId, [keyId])),
}

const reportFor = (io: CliIo, json: boolean): DemoReport => {
  const out = (line: string): void => {
    io.out(line)
  }
  if (json) return new JsonReport(out)
  return new PeopleReport(
    process.stdout.isTTY
      ? new TerminalScreen(process.stdout)
      : new PlainScreen(out, () => performance.now()),
  )
}

/** Ctrl-C and its kin while the demo runs: the first ends it in order, a later one at once. */
class Interrupts implements Disposable {
  readonly #signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  readonly #stop = new AbortController()
  readonly #hurry = new AbortController()
  #firstMs: number | undefined

  constructor() {
    for (const signal of this.#signals) process.on(signal, this.#interrupt)
  }

  get stop(): AbortSignal {
    return this.#stop.signal
  }

  get hurry(): AbortSignal {
    return this.#hurry.signal
  }

  [Symbol.dispose](): void {
    for (const signal of this.#signals) process.off(signal, this.#interrupt)
  }

  readonly #interrupt = (): void => {
    const nowMs = performance.now()
    this.#firstMs ??= nowMs
    this.#stop.abort()
    if (nowMs - this.#firstMs > SAME_INTERRUPT_MS) this.#hurry.abort()
  }
}

interface DemoCommandOptions extends DemoArguments {
  readonly json?: true
}

const demo = async (io: CliIo, given: DemoCommandOptions): Promise<void> => {
  using interrupts = new Interrupts()
  await runDemo(demoOptions(given), {
    program: {
      node: process.execPath,
      entry: fileURLToPath(new URL('../../bin/keyspring.js', import.meta.url)),
    },
    clients,
    report: reportFor(io, given.json === true),
    stop: interrupts.stop,
    hurry: interrupts.hurry,
  })
}

const lastPort = DEFAULT_PORT_BASE + PORT_SPAN

/** `keyspring demo`: throws KmeError where it cannot start or a KME ends by itself. */
export const demoCommand = (io: CliIo): Command =>
  new Command('demo')
    .description('run two KMEs with a simulated QKD link on this machine, to see and to try')
    .option('--dir <folder>', `where it keeps everything (default: ${DEFAULT_DIR})`)
    .option(
      '--port-base <port>',
      `first of the ports that it uses (default: as last time, else ${String(DEFAULT_PORT_BASE)}, which gives ${String(DEFAULT_PORT_BASE + 3)} to ${String(lastPort)})`,
    )
    .option('--km <length>', `length of the simulated fibre (default: ${String(DEFAULT_KM)})`)
    .addOption(
      new Option('--preset <name>', 'kind of the simulated device (default: entry)').choices(
        DEMO_PRESETS,
      ),
    )
    .option('--speed-up <factor>', 'seconds of the device in one second (default: 1)')
    .option('--once', 'end after one key was drawn at one KME, fetched at the other and compared')
    .option('--json', 'print one JSON object per line for each event')
    .action((options: DemoCommandOptions) => demo(io, options))
    .addHelpText(
      'after',
      `
Examples:
  keyspring demo
  keyspring demo --km 80 --speed-up 10
  keyspring demo --dir /tmp/second --port-base 8540
  keyspring demo --once

Ctrl-C ends both KMEs. The next start goes on with the same certificates, keys and ports; to begin anew, remove the folder.`,
    )
