/** One point of a device's characteristic. */
export interface PresetCell {
  /** Loss of the whole channel in dB. */
  readonly lossDb: number
  /** Secret key rate in bits per second. */
  readonly rateBps: number
  /** Quantum bit error rate, 0 to 1. */
  readonly qber: number
}

const table = (rows: readonly (readonly [number, number, number])[]): readonly PresetCell[] =>
  rows.map(([lossDb, rateBps, qberPercent]) => ({ lossDb, rateBps, qber: qberPercent / 100 }))

/**
 * Computed characteristics of two kinds of decoy-state BB84 devices, finite keys included; loss
 * rises, the last cell has no rate. Fitted by hand to published values, so they are plausible
 * devices, not measured ones.
 */
export const PRESETS = {
  /** 1 GHz, cooled avalanche detectors: Mb/s over a city. */
  'metro-hi': table([
    [0, 3.716e6, 2.97],
    [2, 2.509e6, 2.98],
    [5, 1.323e6, 3.03],
    [8, 6.586e5, 3.11],
    [10, 4.031e5, 3.21],
    [12, 2.382e5, 3.36],
    [15, 9.569e4, 3.77],
    [18, 2.478e4, 4.57],
    [20, 194, 5.48],
    [22, 0, 6.84],
  ]),
  /** 100 MHz, one detector with a long dead time: some kb/s, dead near 20 dB. */
  entry: table([
    [3, 6457, 1.56],
    [5, 5998, 1.59],
    [8, 5007, 1.68],
    [10, 4131, 1.79],
    [12, 3128, 1.96],
    [14, 2090, 2.23],
    [16, 1128, 2.64],
    [18, 331, 3.29],
    [19, 9.6, 3.73],
    [20, 0, 4.27],
  ]),
} as const satisfies Record<string, readonly PresetCell[]>

export type PresetName = keyof typeof PRESETS
