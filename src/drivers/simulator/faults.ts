import { KmeError } from '../../errors.ts'
import type { ControlValue } from '../../ports/qkd-driver.ts'

/** From this byte on a bit is flipped: past what a look at the beginning of a block would find. */
const FLIP_FROM_BYTE = 64
const MAX_COUNT = 1_000_000

type CountName = 'dropNextBlocks' | 'duplicateNextBlocks' | 'flipNextBlocks'

const isCountName = (name: string): name is CountName =>
  name === 'dropNextBlocks' || name === 'duplicateNextBlocks' || name === 'flipNextBlocks'

const bad = (name: string, wanted: string): KmeError =>
  new KmeError('BAD_REQUEST', `the switch "${name}" of the simulated device takes ${wanted}`)

/** Faults of one end, for tests: the other end knows nothing of them. */
export class Faults {
  readonly #counts: Record<CountName, number> = {
    dropNextBlocks: 0,
    duplicateNextBlocks: 0,
    flipNextBlocks: 0,
  }
  #stalled = false

  /** This end neither makes nor takes blocks. */
  get stalled(): boolean {
    return this.#stalled
  }

  /** Sets a switch; false where the name is none of these. @throws KmeError BAD_REQUEST */
  set(name: string, value: ControlValue): boolean {
    if (name === 'stall') {
      if (typeof value !== 'boolean') throw bad(name, 'true or false')
      this.#stalled = value
      return true
    }
    if (!isCountName(name)) return false
    const isCount = typeof value === 'number' && Number.isSafeInteger(value)
    if (!isCount || value < 0 || value > MAX_COUNT) throw bad(name, `a count of 0 to ${MAX_COUNT}`)
    this.#counts[name] = value
    return true
  }

  values(): Readonly<Record<string, ControlValue>> {
    return { ...this.#counts, stall: this.#stalled }
  }

  /** How often the next block is handed over, 0 for a lost one; flips a bit of it where switched on. */
  copiesOf(material: Buffer): number {
    if (this.#spend('dropNextBlocks')) return 0
    if (this.#spend('flipNextBlocks')) {
      const at = Math.floor((FLIP_FROM_BYTE + material.length) / 2)
      material.writeUInt8(material.readUInt8(at) ^ 1, at)
    }
    return this.#spend('duplicateNextBlocks') ? 2 : 1
  }

  #spend(name: CountName): boolean {
    if (this.#counts[name] === 0) return false
    this.#counts[name] -= 1
    return true
  }
}
