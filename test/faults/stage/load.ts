import { setTimeout as sleep } from 'node:timers/promises'
import type { Dice } from '../../links/chaos/dice.ts'
import type { DrawRequest, Sae } from './sae.ts'
import type { SlaveNamed } from '../record.ts'

/** From 64 to 4096 bits: all of whole bytes, few of whole blocks of anything. */
const SIZES_BITS = [64, 256, 128, 4096, 192, 72, 512, 1000, 256, 2048, 384, 1032] as const
const FEW = 6
const MANY = 64
const LONGEST_THOUGHT_MS = 12
const RETRY_MS = 40
/** Of so many deliveries one is fetched only at the end, after whatever happened in between. */
const PUT_OFF_ONCE_IN = 4
/** So often somebody asks for a key that is not theirs. */
const INTRUDE_ONCE_IN = 12
const DRAIN_MS = 120_000

/** So often somebody asks again for what was answered, where that gets nothing. */
const ASK_AGAIN_ONCE_IN = 12
/** So often where it may get the same, and so often when that is over. */
const REPEAT_ONCE_IN = 3
const REPEAT_LATE_ONCE_IN = 4
/** That late, in redelivery windows. */
const LATE_WINDOWS = 1.4

/** Keys that one slave has not got yet. */
interface Due {
  readonly slave: Sae
  readonly masterId: string
  readonly keyIds: readonly string[]
  /** All that the delivery names. */
  readonly named: ReadonlySet<string>
}

/** To be asked for again, then. */
interface Again {
  readonly due: Due
  readonly atMs: number
}

export interface LoadOptions {
  readonly diceOf: (saeId: string) => Dice
  /** 0: there is none. */
  readonly redeliveryWindowMs: number
}

/** Draws keys as one master and fetches them as their slaves, one call after the other. */
class Player {
  readonly #master: Sae
  readonly #others: readonly Sae[]
  readonly #dice: Dice
  readonly #counted: () => void
  readonly #later: Due[] = []
  readonly #due: Due[] = []
  readonly #windowMs: number
  #again: Again[] = []

  constructor(
    master: Sae,
    others: readonly Sae[],
    { diceOf, redeliveryWindowMs }: LoadOptions,
    counted: () => void,
  ) {
    this.#master = master
    this.#others = others
    this.#dice = diceOf(master.saeId)
    this.#windowMs = redeliveryWindowMs
    this.#counted = counted
  }

  async play(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      await sleep(this.#dice.roll(LONGEST_THOUGHT_MS))
      await this.#draw()
      const due = this.#due.splice(0)
      for (const one of due) if (!(await this.#fetch(one))) this.#due.push(one)
      await this.#askLate()
    }
  }

  /** Fetches all that is left. */
  async drain(): Promise<void> {
    const giveUpMs = performance.now() + DRAIN_MS
    this.#due.push(...this.#later.splice(0))
    while (this.#due.length > 0 && performance.now() < giveUpMs) {
      const due = this.#due.splice(0)
      for (const one of due) if (!(await this.#fetch(one))) this.#due.push(one)
      if (this.#due.length > 0) await sleep(RETRY_MS)
    }
    while (this.#again.length > 0) {
      await sleep(RETRY_MS)
      await this.#askLate()
    }
  }

  async #draw(): Promise<void> {
    const request = this.#request()
    const { outcome, keys } = await this.#master.draw(request)
    if (outcome.result !== 'answered') {
      await sleep(RETRY_MS)
      return
    }
    this.#counted()
    const keyIds = keys.map(({ keyId }) => keyId)
    const named = new Set(request.slaves.map(({ saeId }) => saeId))
    for (const saeId of named) this.#plan(saeId, keyIds, named)
    if (this.#dice.once(INTRUDE_ONCE_IN)) await this.#intrude(named, keyIds.slice(0, 1))
  }

  /** All at once, or in two parts. */
  #plan(saeId: string, keyIds: readonly string[], named: ReadonlySet<string>): void {
    const slave = this.#others.find((one) => one.saeId === saeId)
    if (!slave) throw new TypeError(`no SAE ${saeId}`)
    const list = this.#dice.once(PUT_OFF_ONCE_IN) ? this.#later : this.#due
    const cut = keyIds.length > 1 && this.#dice.once(2) ? this.#dice.roll(keyIds.length) : 0
    const parts = [keyIds.slice(0, cut), keyIds.slice(cut)].filter(({ length }) => length > 0)
    const masterId = this.#master.saeId
    list.push(...parts.map((part) => ({ slave, masterId, keyIds: part, named })))
  }

  /** Whether nothing more can come of it. */
  async #fetch(due: Due): Promise<boolean> {
    const { outcome } = await due.slave.fetch(due.masterId, due.keyIds)
    if (outcome.result === 'answered') {
      this.#counted()
      await this.#askAgain(due)
    }
    const isDefinite = outcome.result === 'refused' && outcome.code !== 'NOT_READY'
    return outcome.result === 'answered' || outcome.result === 'broken' || isDefinite
  }

  /** The same once more, and what must get nothing although it is much like it. */
  async #askAgain(due: Due): Promise<void> {
    const { slave, masterId, keyIds, named } = due
    if (this.#windowMs === 0) {
      if (this.#dice.once(ASK_AGAIN_ONCE_IN)) await slave.fetch(masterId, keyIds)
      return
    }
    if (this.#dice.once(REPEAT_ONCE_IN)) await slave.fetch(masterId, keyIds)
    if (this.#dice.once(ASK_AGAIN_ONCE_IN)) await this.#intrude(named, keyIds)
    if (this.#dice.once(ASK_AGAIN_ONCE_IN) && keyIds.length > 1) {
      const other = this.#dice.once(2) ? keyIds.toReversed() : keyIds.slice(1)
      await slave.fetch(masterId, other)
    }
    if (!this.#dice.once(REPEAT_LATE_ONCE_IN)) return
    this.#again.push({ due, atMs: performance.now() + LATE_WINDOWS * this.#windowMs })
  }

  /** When the window is over; or at the end, whenever that is. */
  async #askLate(): Promise<void> {
    const nowMs = performance.now()
    const late = this.#again.filter(({ atMs }) => atMs <= nowMs)
    this.#again = this.#again.filter(({ atMs }) => atMs > nowMs)
    for (const { due } of late) await due.slave.fetch(due.masterId, due.keyIds)
  }

  async #intrude(named: ReadonlySet<string>, keyIds: readonly string[]): Promise<void> {
    const strangers = [this.#master, ...this.#others].filter(({ saeId }) => !named.has(saeId))
    const stranger = strangers[this.#dice.roll(strangers.length)]
    await stranger?.fetch(this.#master.saeId, keyIds)
  }

  /** One slave at the other site, and by chance others here and there. */
  #request(): DrawRequest {
    const dice = this.#dice
    const there = this.#others.filter(({ site }) => site !== this.#master.site)
    const here = this.#others.filter(({ site }) => site === this.#master.site)
    const named = [...pick(dice, there), ...(dice.once(4) ? pick(dice, here) : [])]
    const more = dice.once(5) ? there.filter((one) => !named.includes(one)) : []
    const [first, ...rest] = shuffle(dice, [...named, ...more]).map(
      ({ saeId, site }): SlaveNamed => ({ saeId, site }),
    )
    if (!first) throw new TypeError('nobody to draw keys for')
    return {
      slaves: [first, ...rest],
      number: dice.once(3) ? 1 : dice.once(12) ? 1 + dice.roll(MANY) : 1 + dice.roll(FEW),
      sizeBits: SIZES_BITS[dice.roll(SIZES_BITS.length)] ?? 256,
      asGet: dice.once(3),
    }
  }
}

const pick = (dice: Dice, from: readonly Sae[]): readonly Sae[] => {
  const one = from[dice.roll(from.length)]
  return one ? [one] : []
}

const shuffle = (dice: Dice, saes: readonly Sae[]): readonly Sae[] =>
  dice.once(2) ? saes : saes.toReversed()

/** Every SAE of both sites as a master, all at once. */
export class Load {
  readonly #players: readonly Player[]
  #operations = 0
  #over = false
  #playing: Promise<unknown> = Promise.resolve()
  readonly #waiting = new Set<() => void>()

  constructor(saes: readonly Sae[], options: LoadOptions) {
    const counted = (): void => {
      this.#operations += 1
      for (const wake of this.#waiting) wake()
    }
    this.#players = saes.map((master) => {
      const others = saes.filter((one) => one !== master)
      return new Player(master, others, options, counted)
    })
  }

  /** Calls that were answered with keys. */
  get operations(): number {
    return this.#operations
  }

  start(): void {
    this.#over = false
    this.#playing = Promise.all(this.#players.map((player) => player.play(() => this.#over)))
    this.#playing.catch(() => undefined)
  }

  /** Resolves after so many more operations. @throws Error where they do not come, or the load failed */
  async more(operations: number, limitMs = 60_000): Promise<void> {
    const goal = this.#operations + operations
    const reached = new Promise<void>((resolve) => {
      const look = (): void => {
        if (this.#operations < goal) return
        this.#waiting.delete(look)
        resolve()
      }
      this.#waiting.add(look)
    })
    const limit = new AbortController()
    const tooLate = sleep(limitMs, undefined, { signal: limit.signal }).then(
      () => {
        throw new Error(`only ${this.#operations} of ${goal} operations within ${limitMs} ms`)
      },
      () => undefined,
    )
    await Promise.race([reached, tooLate, this.#playing])
    limit.abort()
  }

  /** Ends the drawing. */
  async stop(): Promise<void> {
    this.#over = true
    await this.#playing
  }

  /** Fetches all that was drawn and not fetched yet. */
  async drain(): Promise<void> {
    await Promise.all(this.#players.map((player) => player.drain()))
  }
}
