import type { KmeFigures } from './clients.ts'
import { tryingSteps } from './commands.ts'
import { figuresLine, waitingLine } from './figures-line.ts'
import { type DemoLayout, HOST, sitesOf } from './layout.ts'
import type { DemoOptions } from './options.ts'
import type { DemoScreen } from './screen.ts'

export interface WaitingKme {
  readonly kmeId: string
  /** Why it has no key yet, in one line. */
  readonly reason: string
}

export interface Delivered {
  readonly keyId: string
  readonly sizeBits: number
  readonly master: string
  readonly slave: string
}

/** What a demo tells, in this order; never a key. */
export interface DemoReport {
  prepared(layout: DemoLayout, options: DemoOptions, made: readonly string[]): void
  waiting(kmes: readonly WaitingKme[]): void
  ready(layout: DemoLayout, figures: readonly KmeFigures[], afterMs: number): void
  figures(figures: readonly KmeFigures[]): void
  delivered(delivered: Delivered): void
  stopping(): void
  stopped(): void
}

const pictureOf = ({ a, b }: DemoLayout, { lengthKm }: DemoOptions): readonly string[] => {
  const fibre = `${String(lengthKm)} km of fibre, simulated`
  const row = `  ${a.saeId} ---- ${a.kmeId} ======== ${fibre} ======== ${b.kmeId} ---- ${b.saeId}`
  const width = row.length - 2
  const under = (left: string, right: string): string => {
    const gap = Math.max(2, width - left.length - right.length)
    return `  ${left}${' '.repeat(gap)}${right}`
  }
  return [
    row,
    under(
      `keys: https://${HOST}:${String(a.saePort)}`,
      `keys: https://${HOST}:${String(b.saePort)}`,
    ),
  ]
}

/** For people. */
export class PeopleReport implements DemoReport {
  readonly #screen: DemoScreen

  constructor(screen: DemoScreen) {
    this.#screen = screen
  }

  prepared(layout: DemoLayout, options: DemoOptions, made: readonly string[]): void {
    const screen = this.#screen
    screen.line(
      'Keyspring demo: two KMEs, a simulated QKD link between them, one application at each.',
    )
    screen.line('The keys come from a computer, not from physics: they are not secret.')
    screen.line('')
    for (const line of pictureOf(layout, options)) screen.line(line)
    screen.line('')
    screen.line(
      made.length === 0
        ? `Everything is there from the last time: ${layout.dir}`
        : `Made in ${layout.dir}:`,
    )
    for (const what of made) screen.line(`  ${what}`)
    screen.line('')
  }

  waiting(kmes: readonly WaitingKme[]): void {
    this.#screen.live(kmes.map(({ kmeId, reason }) => waitingLine(kmeId, reason)))
  }

  ready(layout: DemoLayout, figures: readonly KmeFigures[], afterMs: number): void {
    const screen = this.#screen
    screen.live(figures.map(figuresLine))
    screen.line('')
    screen.line(
      `Keys are there, ${(afterMs / 1000).toFixed(1)} s after the start. Draw one and fetch it at the other end:`,
    )
    for (const { what, lines } of tryingSteps(layout)) {
      screen.line('')
      screen.line(`  # ${what}`)
      for (const line of lines) screen.line(`  ${line}`)
    }
    screen.line('')
    screen.line(
      `The same in one go: sh try.sh. Logs: ${sitesOf(layout)
        .map(({ kmeId }) => `${kmeId}.log`)
        .join(', ')}. Ctrl-C ends both KMEs.`,
    )
    screen.line('')
  }

  figures(figures: readonly KmeFigures[]): void {
    this.#screen.live(figures.map(figuresLine))
  }

  delivered({ keyId, sizeBits, master, slave }: Delivered): void {
    this.#screen.line(
      `${master} drew a key of ${String(sizeBits)} bits, ${slave} fetched it at the other KME: the same bytes at both ends (key ID ${keyId}).`,
    )
  }

  stopping(): void {
    this.#screen.line('')
    this.#screen.line('Ending both KMEs ...')
  }

  stopped(): void {
    this.#screen.line('Both KMEs have ended. The next start goes on with the keys that are stored.')
  }
}

/** For programs: one JSON object in a line for each event. */
export class JsonReport implements DemoReport {
  readonly #out: (line: string) => void

  constructor(out: (line: string) => void) {
    this.#out = out
  }

  prepared(layout: DemoLayout, _options: DemoOptions, made: readonly string[]): void {
    const kmes = sitesOf(layout).map((site) => ({
      kmeId: site.kmeId,
      saeId: site.saeId,
      keysUrl: `https://${HOST}:${String(site.saePort)}`,
      adminUrl: `https://${HOST}:${String(site.adminPort)}`,
      configFile: site.configFile,
      logFile: site.logFile,
    }))
    this.#say('prepared', { dir: layout.dir, portBase: layout.portBase, made, kmes })
  }

  waiting(): void {
    // Of no use to a program: the next event is what it waits for.
  }

  ready(_layout: DemoLayout, figures: readonly KmeFigures[], afterMs: number): void {
    this.#say('ready', { afterMs: Math.round(afterMs), kmes: figures })
  }

  figures(figures: readonly KmeFigures[]): void {
    this.#say('figures', { kmes: figures })
  }

  delivered(delivered: Delivered): void {
    this.#say('delivered', { ...delivered })
  }

  stopping(): void {
    this.#say('stopping', {})
  }

  stopped(): void {
    this.#say('stopped', {})
  }

  #say(event: string, facts: Readonly<Record<string, unknown>>): void {
    this.#out(JSON.stringify({ event, ...facts }))
  }
}
