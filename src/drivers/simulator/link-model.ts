import { PRESETS, type PresetCell, type PresetName } from './presets.ts'

/** Attenuation of standard fibre at 1550 nm. */
const FIBRE_DB_PER_KM = 0.2
/** Intercept and resend on a fraction q of the light flips q/4 of the sifted bits. */
const ERRORS_PER_EAVESDROPPED = 0.25
/** Entropy of errors that a secret bit pays: once for privacy, 1.16 times for error correction. */
const ERROR_COST = 2.16
const MAX_QBER = 0.5

/** The state of the fibre; what `control` can switch. */
export interface FibreState {
  readonly lengthKm: number
  readonly extraLossDb: number
  /** Fraction of the light that an eavesdropper measures, 0 to 1. */
  readonly eavesdropper: number
}

export interface LinkModelOptions extends FibreState {
  readonly preset: PresetName
  readonly qberThreshold: number
  /** Rate and QBER with the fibre as these options have it; otherwise the preset's. */
  readonly secretKeyRateBps?: number | undefined
  readonly qber?: number | undefined
}

export interface LinkConditions {
  /** Bits per second of virtual time; 0 where no key can be made. */
  readonly secretKeyRateBps: number
  readonly qber: number
  readonly lossDb: number
  /** Why no key can be made, or null. */
  readonly reason: string | null
}

/** Binary entropy in bits. */
const entropy = (p: number): number =>
  p <= 0 || p >= 1 ? 0 : -p * Math.log2(p) - (1 - p) * Math.log2(1 - p)

const between = (from: number, to: number, share: number): number => from + (to - from) * share

/** Log of the rate is linear in the loss; to a cell without a rate, the rate itself is. */
const rateBetween = (low: PresetCell, high: PresetCell, share: number): number =>
  high.rateBps > 0
    ? 10 ** between(Math.log10(low.rateBps), Math.log10(high.rateBps), share)
    : between(low.rateBps, 0, share)

/** Rate and QBER of a preset at a loss: those of the first cell below it, nothing past the last. */
const atLoss = (cells: readonly PresetCell[], lossDb: number): PresetCell => {
  const first = cells[0]
  const last = cells[cells.length - 1]
  if (first === undefined || last === undefined) throw new TypeError('a preset without cells')
  if (lossDb <= first.lossDb) return { ...first, lossDb }
  const above = cells.findIndex((cell) => cell.lossDb >= lossDb)
  const low = cells[above - 1]
  const high = cells[above]
  if (low === undefined || high === undefined) return { lossDb, rateBps: 0, qber: last.qber }
  const share = (lossDb - low.lossDb) / (high.lossDb - low.lossDb)
  return {
    lossDb,
    rateBps: share === 1 ? high.rateBps : rateBetween(low, high, share),
    qber: between(low.qber, high.qber, share),
  }
}

const lossOf = (fibre: FibreState): number => fibre.lengthKm * FIBRE_DB_PER_KM + fibre.extraLossDb

/** Share of a secret bit that is left per sifted bit at an error rate. */
const secretShare = (qber: number): number => Math.max(0, 1 - ERROR_COST * entropy(qber))

/** The fibre without an eavesdropper: explicit values hold as configured and follow the preset from there. */
const undisturbed = (options: LinkModelOptions, lossDb: number): PresetCell => {
  const cells = PRESETS[options.preset]
  const now = atLoss(cells, lossDb)
  const configured = atLoss(cells, lossOf(options))
  const { secretKeyRateBps, qber } = options
  const fall = configured.rateBps > 0 ? now.rateBps / configured.rateBps : 1
  return {
    lossDb,
    rateBps: secretKeyRateBps === undefined ? now.rateBps : secretKeyRateBps * fall,
    qber: qber === undefined ? now.qber : Math.max(0, qber + now.qber - configured.qber),
  }
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`

const reasonOf = (rateBps: number, qber: number, lossDb: number, threshold: number) => {
  if (qber > threshold) {
    return `QBER ${percent(qber)} is above the threshold of ${percent(threshold)}: no key is made`
  }
  return rateBps > 0
    ? null
    : `no key can be made at QBER ${percent(qber)} and ${lossDb.toFixed(1)} dB`
}

/**
 * The physics of the simulated device: what the fibre, as it is now, lets the device make. All that
 * the simulator knows of rates and errors is behind this function.
 */
export const linkConditions = (options: LinkModelOptions, fibre: FibreState): LinkConditions => {
  const lossDb = lossOf(fibre)
  const clean = undisturbed(options, lossDb)
  const qber = Math.min(MAX_QBER, clean.qber + fibre.eavesdropper * ERRORS_PER_EAVESDROPPED)
  const cleanShare = secretShare(clean.qber)
  // Without an eavesdropper the rate is the table's, also where the formula gives nothing.
  const left = fibre.eavesdropper === 0 ? 1 : cleanShare > 0 ? secretShare(qber) / cleanShare : 0
  const rateBps = qber > options.qberThreshold ? 0 : clean.rateBps * left
  return {
    secretKeyRateBps: rateBps,
    qber,
    lossDb,
    reason: reasonOf(rateBps, qber, lossDb, options.qberThreshold),
  }
}
