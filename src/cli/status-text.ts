import type { DeviceView, LinkView, StatusAnswer } from '../admin/client.ts'
import { formatTable } from './table.ts'
import { printable } from './terminal.ts'

const NONE = '-'
const PERCENT = 100
const SECONDS_PER = { minute: 60, hour: 3600, day: 86_400 } as const
const RATE_STEP = 1000

/** At most two units: `3 d 4 h`. */
export const formatDuration = (seconds: number): string => {
  const { minute, hour, day } = SECONDS_PER
  const whole = (unit: number, within = Infinity): string =>
    String(Math.floor((seconds % within) / unit))
  if (seconds >= day) return `${whole(day)} d ${whole(hour, day)} h`
  if (seconds >= hour) return `${whole(hour)} h ${whole(minute, hour)} min`
  if (seconds >= minute) return `${whole(minute)} min ${whole(1, minute)} s`
  return `${whole(1)} s`
}

const counted = (count: number, noun: string): string =>
  `${String(count)} ${noun}${count === 1 ? '' : 's'}`

const formatQber = (qber: number | null): string =>
  qber === null ? NONE : `${(qber * PERCENT).toFixed(2)} %`

/** Bits per second of the device's own clock. */
export const formatRate = (bps: number | null): string => {
  if (bps === null) return NONE
  let value = bps
  for (const unit of ['bit/s', 'kbit/s', 'Mbit/s']) {
    if (value < RATE_STEP) return `${value.toPrecision(3)} ${unit}`
    value /= RATE_STEP
  }
  return `${value.toPrecision(3)} Gbit/s`
}

const DEVICELESS: Pick<DeviceView, 'deviceId' | 'qber' | 'secretKeyRateBps'> & { state: string } = {
  deviceId: NONE,
  qber: null,
  secretKeyRateBps: null,
  state: NONE,
}

const markOf = (link: LinkView): string =>
  link.provenance.some((one) => one !== 'hardware') ? 'NOT SECRET' : ''

const rowsOf = (link: LinkView): readonly (readonly string[])[] => {
  const devices = link.devices.length === 0 ? [DEVICELESS] : link.devices
  return devices.map((device, index) => {
    const { deliverable, max, sizeBits } = link.keys
    const keys = `${String(deliverable)} of ${String(max)} (${String(sizeBits)} bit)`
    const [name, peer, state] = [link.linkId, link.peerKmeId, link.state]
    const ofLink = index === 0 ? [name, peer, state, keys] : ['', '', '', '']
    const { deviceId, qber, secretKeyRateBps } = device
    const ofDevice = [deviceId, device.state, formatQber(qber), formatRate(secretKeyRateBps)]
    return [...ofLink, ...ofDevice, index === 0 ? markOf(link) : '']
  })
}

const HEADINGS = ['LINK', 'PEER', 'STATE', 'KEYS', 'DEVICE', 'STATE', 'QBER', 'RATE', '']

/** Some reasons say already of which link they are. */
const ofLink = (linkId: string, reason: string): string =>
  reason.startsWith(`link ${linkId}: `) ? reason : `link ${linkId}: ${reason}`

const problemsOf = (link: LinkView): readonly string[] => [
  ...(link.reason === null ? [] : [ofLink(link.linkId, link.reason)]),
  ...link.devices.flatMap(({ deviceId, reason }) =>
    reason === null ? [] : [`device ${deviceId} on link ${link.linkId}: ${reason}`],
  ),
  ...(link.ledger.balanced
    ? []
    : [`link ${link.linkId}: the ledger is off by ${String(link.ledger.differenceBytes)} bytes`]),
]

/** The state of a KME for people. */
export const statusText = ({
  kme,
  ready,
  reasons,
  links,
  alarms,
}: StatusAnswer): readonly string[] => {
  const problems = [...reasons.map(({ message }) => message), ...links.flatMap(problemsOf)]
  return [
    `KME ${kme.kmeId}: ${ready ? 'ready' : 'not ready'}, version ${kme.version}, up ${formatDuration(kme.uptimeS)}, ${counted(kme.registeredSaes, 'SAE')} registered`,
    ...(links.length === 0 ? ['no links'] : formatTable([HEADINGS, ...links.flatMap(rowsOf)])),
    ...[...new Set(problems)].map((line) => `! ${line}`),
    ...alarms.map(
      ({ severity, message, since }) => `! ${severity} alarm since ${since}: ${message}`,
    ),
    ...(kme.runtime.warning === null ? [] : [`! ${kme.runtime.warning}`]),
  ].map(printable)
}
