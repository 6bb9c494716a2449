import { resolve } from 'node:path'
import { KmeError } from '../errors.ts'

export const DEMO_PRESETS = ['entry', 'metro-hi'] as const

export type DemoPreset = (typeof DEMO_PRESETS)[number]

export interface DemoOptions {
  /** Absolute path of the folder that holds everything the demo makes. */
  readonly dir: string
  /** First of the ports that the demo uses; undefined: as the last time in this folder, or the default. */
  readonly portBase: number | undefined
  readonly lengthKm: number
  readonly speedUp: number
  readonly preset: DemoPreset
  /** End after the first key was drawn at one KME and fetched at the other. */
  readonly once: boolean
}

/** The options of the command line, as they were written. */
export interface DemoArguments {
  readonly dir?: string
  readonly portBase?: string
  readonly km?: string
  readonly speedUp?: string
  readonly preset?: string
  readonly once?: true
}

export const DEFAULT_DIR = '.keyspring/demo'
export const DEFAULT_PORT_BASE = 8440
export const DEFAULT_KM = 25

/** Ports below need a privilege; the last one that is used is PORT_SPAN above the base. */
export const LOWEST_PORT_BASE = 1024
export const PORT_SPAN = 15
export const HIGHEST_PORT_BASE = 65_535 - PORT_SPAN

const MOST_KM = 1000
const MOST_SPEED_UP = 1000

interface Bounds {
  readonly least: number
  readonly most: number
  readonly whole?: true
}

const numberOf = (option: string, text: string, { least, most, whole }: Bounds): number => {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN
  if (value >= least && value <= most && (whole !== true || Number.isInteger(value))) return value
  const kind = whole === true ? 'a whole number' : 'a number'
  throw new KmeError(
    'USAGE',
    `${option} ${JSON.stringify(text)}: expected ${kind} from ${String(least)} to ${String(most)}`,
  )
}

const presetOf = (text: string): DemoPreset => {
  const preset = DEMO_PRESETS.find((name) => name === text)
  if (preset !== undefined) return preset
  throw new KmeError(
    'USAGE',
    `--preset ${JSON.stringify(text)}: expected ${DEMO_PRESETS.join(' or ')}`,
  )
}

/** Checks what was written on the command line. @throws KmeError USAGE */
export const demoOptions = (given: DemoArguments): DemoOptions => {
  const { dir = DEFAULT_DIR, portBase, km = String(DEFAULT_KM), speedUp = '1' } = given
  if (dir.trim() === '') throw new KmeError('USAGE', '--dir: expected the path of a folder')
  return {
    dir: resolve(dir),
    portBase:
      portBase === undefined
        ? undefined
        : numberOf('--port-base', portBase, {
            least: LOWEST_PORT_BASE,
            most: HIGHEST_PORT_BASE,
            whole: true,
          }),
    lengthKm: numberOf('--km', km, { least: 0, most: MOST_KM }),
    speedUp: numberOf('--speed-up', speedUp, { least: 0.01, most: MOST_SPEED_UP }),
    preset: presetOf(given.preset ?? 'entry'),
    once: given.once === true,
  }
}
