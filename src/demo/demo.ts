import { setTimeout as sleep } from 'node:timers/promises'
import { KmeError, isKmeError } from '../errors.ts'
import type { DemoClients, KmeFigures } from './clients.ts'
import { DemoDirectory } from './directory.ts'
import { deliverOneKey } from './first-key.ts'
import { KmeProcess } from './kme-process.ts'
import { type DemoLayout, demoLayout, sitesOf } from './layout.ts'
import { DEFAULT_PORT_BASE, type DemoOptions } from './options.ts'
import { checkPorts } from './ports.ts'
import { prepareDemo } from './prepare.ts'
import type { Program } from './program.ts'
import type { Delivered, DemoReport, WaitingKme } from './report.ts'

export interface DemoParts {
  readonly program: Program
  readonly clients: DemoClients
  readonly report: DemoReport
  /** Ends the demo, and both KMEs in order. */
  readonly stop: AbortSignal
  /** Ends both KMEs at once. */
  readonly hurry: AbortSignal
}

const WAITING_POLL_MS = 200
const FIGURES_POLL_MS = 1000
/** How long `--once` waits for a key that does not come. */
const ONCE_MOST_MS = 120_000

/** A key through both ends; a KME that cannot deliver for a moment is asked again. */
const deliver = async (
  layout: DemoLayout,
  { clients, stop }: DemoParts,
  deadlineMs: number,
): Promise<Delivered | undefined> => {
  while (!stop.aborted) {
    try {
      return await deliverOneKey(layout, clients)
    } catch (error) {
      if (!isKmeError(error, 'NOT_READY') || performance.now() > deadlineMs) throw error
      await pause(WAITING_POLL_MS, stop)
    }
  }
  return undefined
}

/** A KME that is busy or starting does not answer at once: that is shown, and no end. */
const figuresOr = async (
  layout: DemoLayout,
  { clients }: DemoParts,
): Promise<readonly (KmeFigures | WaitingKme)[]> =>
  Promise.all(
    sitesOf(layout).map(async (site) => {
      try {
        return await clients.figures(layout, site)
      } catch (error) {
        if (!isKmeError(error, 'PEER_UNAVAILABLE')) throw error
        return { kmeId: site.kmeId, reason: 'does not answer' }
      }
    }),
  )

const hasFigures = (kme: KmeFigures | WaitingKme): kme is KmeFigures => 'ready' in kme

const STARTING = 'is starting'
const STOPPED_EARLY = 'stopped before a key was delivered'

/** Polls until keys can be delivered at both ends. Undefined where the demo was stopped before. */
const firstKey = async (
  layout: DemoLayout,
  parts: DemoParts,
  deadlineMs: number,
): Promise<readonly KmeFigures[] | undefined> => {
  const { report, stop } = parts
  while (!stop.aborted) {
    const kmes = await figuresOr(layout, parts)
    const known = kmes.filter(hasFigures)
    if (known.length === kmes.length && known.every(({ ready }) => ready)) return known
    const waiting = kmes.map((kme) => ({
      kmeId: kme.kmeId,
      reason: hasFigures(kme) ? (kme.reason ?? 'has keys') : STARTING,
    }))
    if (performance.now() > deadlineMs) throw noKey(waiting)
    report.waiting(waiting)
    await pause(WAITING_POLL_MS, stop)
  }
  return undefined
}

const noKey = (kmes: readonly WaitingKme[]): KmeError => {
  const why = kmes.map(({ kmeId, reason }) => `${kmeId} ${reason}`).join('; ')
  return new KmeError('NOT_READY', `no key within ${String(ONCE_MOST_MS / 1000)} s: ${why}`)
}

const pause = async (ms: number, stop: AbortSignal): Promise<void> => {
  await sleep(ms, undefined, { signal: stop }).catch(() => undefined)
}

const silent = ({ kmeId, reason }: WaitingKme): KmeFigures => ({
  kmeId,
  ready: false,
  reason,
  keysStored: 0,
  qber: null,
  secretKeyRateBps: null,
})

/** Shows how both KMEs are until the demo is stopped. */
const watch = async (layout: DemoLayout, parts: DemoParts): Promise<void> => {
  while (!parts.stop.aborted) {
    const kmes = await figuresOr(layout, parts)
    parts.report.figures(kmes.map((kme) => (hasFigures(kme) ? kme : silent(kme))))
    await pause(FIGURES_POLL_MS, parts.stop)
  }
}

const show = async (
  layout: DemoLayout,
  options: DemoOptions,
  parts: DemoParts,
  startedMs: number,
): Promise<void> => {
  const deadlineMs = options.once ? startedMs + ONCE_MOST_MS : Infinity
  const figures = await firstKey(layout, parts, deadlineMs)
  if (options.once) {
    if (figures !== undefined) parts.report.figures(figures)
    const delivered = await deliver(layout, parts, deadlineMs)
    if (delivered === undefined) throw new KmeError('NOT_READY', STOPPED_EARLY)
    parts.report.delivered(delivered)
    return
  }
  if (figures === undefined) return
  parts.report.ready(layout, figures, performance.now() - startedMs)
  await watch(layout, parts)
}

/** Runs both KMEs around `work`; if one ends meanwhile, so does the demo. */
const withKmes = async (
  layout: DemoLayout,
  { program, report, hurry, stop }: DemoParts,
  work: (stop: AbortSignal) => Promise<void>,
): Promise<void> => {
  const kmes: KmeProcess[] = []
  const over = new AbortController()
  try {
    for (const site of sitesOf(layout)) kmes.push(KmeProcess.start(site, program))
    const working = work(AbortSignal.any([stop, over.signal]))
    await Promise.race([working, ...kmes.map((kme) => kme.failure())])
    report.stopping()
  } finally {
    over.abort()
    await Promise.all(kmes.map((kme) => kme.stop(hurry)))
  }
  report.stopped()
}

/**
 * The demo: makes what is missing in its folder, runs two KMEs, waits for the first key and shows
 * how both are, until it is stopped.
 * @throws KmeError with one line: a port is taken, the folder cannot be used, a KME ended by itself
 */
export const runDemo = async (options: DemoOptions, parts: DemoParts): Promise<void> => {
  const startedMs = performance.now()
  await using directory = await DemoDirectory.claim(options.dir)
  const portBase = options.portBase ?? (await directory.portBase()) ?? DEFAULT_PORT_BASE
  const layout = demoLayout(directory.path, portBase)
  await checkPorts(layout)
  await directory.rememberPortBase(portBase)
  const made = await prepareDemo(layout, options, parts.program, parts.stop)
  if (parts.stop.aborted) return
  parts.report.prepared(layout, options, made)
  await withKmes(layout, parts, (stop) => show(layout, options, { ...parts, stop }, startedMs))
}
