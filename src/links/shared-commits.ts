import type { NewDelivery } from '../ports/delivery-store.ts'
import type { Session } from './link-state.ts'

/** Commits deliveries of a session; returns the bytes of each, in order. */
export type CommitDeliveries = (
  session: Session,
  deliveries: readonly NewDelivery[],
) => Promise<readonly Buffer[]>

interface Waiting {
  readonly session: Session
  readonly delivery: NewDelivery
  readonly resolve: (material: Buffer) => void
  readonly reject: (error: unknown) => void
}

const MOST_TOGETHER = 128

/**
 * Concurrent deliveries share one commit: what comes while one is under way waits for the next, so
 * that a lone caller waits for nobody. What a commit fails, it fails for all that share it.
 */
export class SharedCommits {
  readonly #commit: CommitDeliveries
  #waiting: Waiting[] = []
  #underWay = false

  constructor(commit: CommitDeliveries) {
    this.#commit = commit
  }

  /** The caller owns the bytes and wipes them. @throws what the commit throws */
  commit(session: Session, delivery: NewDelivery): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ session, delivery, resolve, reject })
      if (!this.#underWay) void this.#work()
    })
  }

  async #work(): Promise<void> {
    this.#underWay = true
    while (this.#waiting.length > 0) await this.#commitNext()
    this.#underWay = false
  }

  async #commitNext(): Promise<void> {
    const session = this.#waiting[0]?.session
    if (!session) return
    const together = this.#waiting.filter((one) => one.session === session).slice(0, MOST_TOGETHER)
    this.#waiting = this.#waiting.filter((one) => !together.includes(one))
    try {
      const materials = await this.#commit(
        session,
        together.map(({ delivery }) => delivery),
      )
      together.forEach(({ resolve, reject }, i) => {
        const material = materials[i]
        if (material) resolve(material)
        else reject(new TypeError('each delivery has its bytes'))
      })
    } catch (error) {
      for (const { reject } of together) reject(error)
    }
  }
}
