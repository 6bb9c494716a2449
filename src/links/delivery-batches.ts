import type { NewDelivery } from '../ports/delivery-store.ts'
import type { Session } from './link-state.ts'
import { nextTurn } from '../support/next-turn.ts'

/**
 * Carries one batch out: durable here and, where the link waits for that, at the peer. Calls
 * `diskIsFree` once it is committed here or failed to be. Returns the bytes of each delivery, in
 * order, or why it failed; one that throws fails all of the batch.
 */
export type CarryOut = (
  session: Session,
  deliveries: readonly NewDelivery[],
  diskIsFree: () => void,
) => Promise<readonly (Buffer | Error)[]>

interface Waiting {
  readonly session: Session
  readonly delivery: NewDelivery
  readonly resolve: (material: Buffer) => void
  readonly reject: (error: unknown) => void
}

/** Bounds what a failed commit fails, and the length of a message. */
const MOST_TOGETHER = 128
/** Batches that wait for the peer at once. */
const MOST_UNDER_WAY = 4

/**
 * Concurrent deliveries share one commit and one message: those that come in one turn of the event
 * loop, or while the batch before is being committed. A lone caller waits for nobody.
 */
export class DeliveryBatches {
  readonly #carryOut: CarryOut
  #waiting: Waiting[] = []
  #underWay = 0
  #isCommitting = false
  #gathering = false

  constructor(carryOut: CarryOut) {
    this.#carryOut = carryOut
  }

  /** The caller owns the bytes and wipes them. @throws what the batch fails with */
  deliver(session: Session, delivery: NewDelivery): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ session, delivery, resolve, reject })
      void this.#gather()
    })
  }

  async #gather(): Promise<void> {
    if (this.#gathering || this.#isCommitting || this.#underWay >= MOST_UNDER_WAY) return
    this.#gathering = true
    await nextTurn()
    this.#gathering = false
    const batch = this.#nextBatch()
    if (batch.length === 0) return
    void this.#send(batch)
  }

  /** Of one session: what an earlier one allocated must not be committed in a later one. */
  #nextBatch(): readonly Waiting[] {
    const session = this.#waiting[0]?.session
    const other = this.#waiting.findIndex((one) => one.session !== session)
    const ofSession = other < 0 ? this.#waiting.length : other
    return this.#waiting.splice(0, Math.min(ofSession, MOST_TOGETHER))
  }

  async #send(batch: readonly Waiting[]): Promise<void> {
    const [first] = batch
    if (!first) return
    this.#underWay += 1
    this.#isCommitting = true
    let usesDisk = true
    const diskIsFree = (): void => {
      if (!usesDisk) return
      usesDisk = false
      this.#isCommitting = false
      this.#goOn()
    }
    try {
      const outcomes = await this.#carryOut(
        first.session,
        batch.map(({ delivery }) => delivery),
        diskIsFree,
      )
      batch.forEach(({ resolve, reject }, i) => {
        const outcome = outcomes[i]
        if (Buffer.isBuffer(outcome)) resolve(outcome)
        else reject(outcome ?? new TypeError('each delivery has its bytes'))
      })
    } catch (error) {
      for (const { reject } of batch) reject(error)
    } finally {
      this.#underWay -= 1
      diskIsFree()
      this.#goOn()
    }
  }

  #goOn(): void {
    if (this.#waiting.length > 0) void this.#gather()
  }
}
