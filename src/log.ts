import { types } from 'node:util'
import type {
  Alarm,
  AlarmName,
  AlarmSubject,
  EventLevel,
  KmeEvent,
  Observer,
} from './ports/observer.ts'

/**
 * The log: one JSON object per line, `at, level, event, message, fields`. Whatever an event holds,
 * a line is a line: control and direction characters are escaped, long texts are cut, and bytes are
 * refused, for key material is bytes (promise P7).
 */

export interface LogOptions {
  /** Least severe level that is written. */
  readonly level: EventLevel
  /** Takes one line, without its line end. It must not throw. */
  readonly write: (line: string) => void
  /** Wall-clock time in milliseconds since 1970. */
  readonly wallMs: () => number
  /** Bytes in an event are a programmer's mistake: `throw` a TypeError (tests), or `replace` them. */
  readonly onBytes?: 'throw' | 'replace'
}

/** An alarm that nobody has cleared yet. */
export interface StandingAlarm extends Alarm {
  /** When it was first raised, ISO 8601. */
  readonly since: string
  /** How often it was raised since then. */
  readonly times: number
}

/** What the whole process reports to, and the admin listener reads from. */
export interface KmeObserver extends Observer {
  /** Alarms that stand, the oldest first. */
  standing(): readonly StandingAlarm[]
  /** Events since the start, by name; alarms count under `alarm.` and their name. */
  counters(): ReadonlyMap<string, number>
}

const SEVERITY: Readonly<Record<EventLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 }

const REFUSED = '[bytes refused]'
const MAX_TEXT_CHARACTERS = 4096
const MAX_DEPTH = 4
const MAX_ITEMS = 100

/** What JSON leaves as it is and a terminal or a log reader may act upon. */
const UNSAFE =
  /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g

const escapeUnsafe = (json: string): string =>
  json.replace(UNSAFE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)

const isBytes = (value: object): boolean =>
  ArrayBuffer.isView(value) ||
  types.isAnyArrayBuffer(value) ||
  // What a Buffer becomes when somebody has sent it through JSON.
  ('type' in value && value.type === 'Buffer' && 'data' in value)

type OnBytes = NonNullable<LogOptions['onBytes']>

const cut = (text: string): string =>
  text.length <= MAX_TEXT_CHARACTERS ? text : `${text.slice(0, MAX_TEXT_CHARACTERS)}...`

/** A value that JSON can hold, without bytes. */
const plain = (value: unknown, onBytes: OnBytes, depth = 0): unknown => {
  if (typeof value === 'object' && value !== null) return plainObject(value, onBytes, depth)
  if (typeof value === 'string') return cut(value)
  const fits = value === null || typeof value === 'boolean' || Number.isFinite(value)
  // Others, such as NaN or a function, JSON has no word for.
  return fits ? value : `[${typeof value}]`
}

const plainObject = (value: object, onBytes: OnBytes, depth: number): unknown => {
  if (isBytes(value)) {
    if (onBytes === 'throw') throw new TypeError('an event holds bytes: they may be key material')
    return REFUSED
  }
  if (value instanceof Error) return cut(value.message)
  if (depth === MAX_DEPTH) return '[too deep]'
  if (Array.isArray(value)) {
    return value.slice(0, MAX_ITEMS).map((item) => plain(item, onBytes, depth + 1))
  }
  const entries = Object.entries(value).slice(0, MAX_ITEMS)
  return Object.fromEntries(entries.map(([name, item]) => [name, plain(item, onBytes, depth + 1)]))
}

/** Writes events to the log. Never throws, but for bytes where `onBytes` is `throw`. */
export const createLog = (options: LogOptions): ((event: KmeEvent) => void) => {
  const { write, wallMs, onBytes = 'replace' } = options
  const least = SEVERITY[options.level]
  return ({ level, name, message, fields }) => {
    const line = {
      at: new Date(wallMs()).toISOString(),
      level,
      event: plain(name, onBytes),
      message: plain(message, onBytes),
      ...(fields === undefined ? {} : { fields: plain(fields, onBytes) }),
    }
    if (SEVERITY[level] >= least) write(escapeUnsafe(JSON.stringify(line)))
  }
}

const keyOf = (name: AlarmName, { linkId, deviceId, id }: AlarmSubject): string =>
  JSON.stringify([name, linkId ?? null, deviceId ?? null, id ?? null])

const subjectFields = (subject: AlarmSubject): NonNullable<KmeEvent['fields']> => ({
  ...(subject.linkId === undefined ? {} : { linkId: subject.linkId }),
  ...(subject.deviceId === undefined ? {} : { deviceId: subject.deviceId }),
  ...(subject.id === undefined ? {} : { id: subject.id }),
})

/** Writes the log, and remembers what stands and how often things happened. */
export const createObserver = (options: LogOptions): KmeObserver => {
  const log = createLog(options)
  const standing = new Map<string, StandingAlarm>()
  const counters = new Map<string, number>()
  const count = (name: string): void => {
    counters.set(name, (counters.get(name) ?? 0) + 1)
  }
  return {
    event: (event) => {
      count(event.name)
      log(event)
    },
    alarm: (alarm) => {
      const key = keyOf(alarm.name, alarm)
      const known = standing.get(key)
      const since = known?.since ?? new Date(options.wallMs()).toISOString()
      standing.set(key, { ...alarm, since, times: (known?.times ?? 0) + 1 })
      count(`alarm.${alarm.name}`)
      // One that stands already and says nothing new would only fill the log.
      const level = known?.message === alarm.message ? 'debug' : 'warn'
      const fields = { severity: alarm.severity, ...subjectFields(alarm) }
      log({ level, name: `alarm.${alarm.name}`, message: alarm.message, fields })
    },
    clear: (name, subject) => {
      if (!standing.delete(keyOf(name, subject))) return
      const fields = subjectFields(subject)
      log({ level: 'info', name: `alarm.${name}.cleared`, message: `${name} is over`, fields })
    },
    standing: () => [...standing.values()],
    counters: () => counters,
  }
}
