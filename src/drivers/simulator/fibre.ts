import { KmeError } from '../../errors.ts'
import type { ControlValue } from '../../ports/qkd-driver.ts'
import { linkConditions, type FibreState, type LinkConditions } from './link-model.ts'
import type { SimulatorOptions } from './options.ts'

type FibreName = keyof FibreState

const LIMITS: Readonly<Record<FibreName, number>> = {
  lengthKm: 1000,
  extraLossDb: 200,
  eavesdropper: 1,
}

export const isFibreName = (name: string): name is FibreName => Object.hasOwn(LIMITS, name)

/** @throws KmeError BAD_REQUEST */
export const checkFibreValue = (name: FibreName, value: ControlValue): number => {
  if (typeof value === 'number' && value >= 0 && value <= LIMITS[name]) return value
  throw new KmeError(
    'BAD_REQUEST',
    `the switch "${name}" of the simulated device takes a number from 0 to ${LIMITS[name]}`,
  )
}

/** The fibre between the two ends, kept by the leading one. */
export class Fibre {
  readonly #options: SimulatorOptions
  #state: FibreState
  #conditions: LinkConditions

  constructor(options: SimulatorOptions) {
    this.#options = options
    const { lengthKm, extraLossDb, eavesdropper } = options
    this.#state = { lengthKm, extraLossDb, eavesdropper }
    this.#conditions = linkConditions(options, this.#state)
  }

  get state(): FibreState {
    return this.#state
  }

  get conditions(): LinkConditions {
    return this.#conditions
  }

  set(name: FibreName, value: number): void {
    this.#state = { ...this.#state, [name]: value }
    this.#conditions = linkConditions(this.#options, this.#state)
  }
}
