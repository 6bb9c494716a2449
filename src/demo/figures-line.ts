import type { KmeFigures } from './clients.ts'

const NAME_WIDTH = 7
const KILO = 1000

/** Bits per second with a unit that suits: `6.00 kbit/s`. */
export const rateText = (bps: number): string => {
  const units = ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s']
  let value = bps
  let unit = 0
  while (value >= KILO && unit < units.length - 1) {
    value /= KILO
    unit += 1
  }
  return `${unit === 0 ? value.toFixed(0) : value.toPrecision(3)} ${units[unit] ?? ''}`
}

const percentText = (share: number): string => `${(share * 100).toFixed(2)} %`

const orDash = (value: number | null, text: (value: number) => string): string =>
  value === null ? '-' : text(value)

/** One KME in one line: error rate of the quantum channel, key rate, keys stored, and what is wrong. */
export const figuresLine = (figures: KmeFigures): string => {
  const { kmeId, qber, secretKeyRateBps, keysStored, ready, reason } = figures
  const columns = [
    kmeId.padEnd(NAME_WIDTH),
    `QBER ${orDash(qber, percentText)}`.padEnd(13),
    `secret key rate ${orDash(secretKeyRateBps, rateText)}`.padEnd(28),
    `keys stored ${keysStored.toLocaleString('en')}`,
    ...(ready || reason === null ? [] : [`(${reason})`]),
  ]
  return columns.join('  ')
}

/** One KME while it has no key yet. */
export const waitingLine = (kmeId: string, reason: string): string =>
  `${kmeId.padEnd(NAME_WIDTH)}  ${reason}`
