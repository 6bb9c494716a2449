import { HealthTests } from './health-tests.ts'
import type { KeyBlock } from '../ports/qkd-driver.ts'
import { refKey } from '../model/block.ts'
import type { Random } from '../ports/clock.ts'

const STOP_AFTER_IN_A_ROW = 3
const WINDOW_BLOCKS = 1000
const STOP_FRACTION = 0.01

/**
 * Hardware input is not trusted blindly: tests each block, and says when a device gives so many bad
 * ones that it has to be stopped.
 */
export class DeviceHealth {
  readonly #tests: HealthTests
  #badInARow = 0
  /** Of the last blocks, oldest first: whether each was bad. */
  #window: boolean[] = []
  #badInWindow = 0

  constructor(random: Random) {
    this.#tests = new HealthTests({ random })
  }

  /** One line without key bytes, or null where the block passes. */
  test(block: KeyBlock): string | null {
    const finding = this.#tests.test(block.ref.streamId, block.material, refKey(block.ref))
    this.#count(finding !== null)
    return finding
  }

  get mustStop(): boolean {
    if (this.#badInARow >= STOP_AFTER_IN_A_ROW) return true
    return this.#badInWindow > WINDOW_BLOCKS * STOP_FRACTION
  }

  #count(bad: boolean): void {
    this.#badInARow = bad ? this.#badInARow + 1 : 0
    this.#window.push(bad)
    if (bad) this.#badInWindow += 1
    if (this.#window.length <= WINDOW_BLOCKS) return
    if (this.#window.shift()) this.#badInWindow -= 1
  }
}
