import type { Random } from '../../../src/ports/clock.ts'

/** Chance that is the same in every run (mulberry32). */
export class Dice implements Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed
  }

  /** A whole number from 0 to `sides` - 1. */
  roll(sides: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % sides
  }

  /** True once in `sides` times. */
  once(sides: number): boolean {
    return this.roll(sides) === 0
  }

  bytes(lengthBytes: number): Buffer {
    return Buffer.from(Array.from({ length: lengthBytes }, () => this.roll(256)))
  }
}
