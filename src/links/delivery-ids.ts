import { RISING_START_LIMIT, makeDeliveryId } from '../model/key-id.ts'
import type { DeliveryId } from '../model/key-id.ts'
import type { Random } from '../ports/clock.ts'

/** Makes delivery IDs: their first 46 bits rise by one from a random start in each process. */
export class DeliveryIds {
  readonly #random: Random
  #rising: number

  constructor(random: Random) {
    this.#random = random
    this.#rising = random.bytes(6).readUIntBE(0, 6) % RISING_START_LIMIT
  }

  next(): DeliveryId {
    this.#rising += 1
    return makeDeliveryId(this.#rising, this.#random.bytes(10))
  }
}
