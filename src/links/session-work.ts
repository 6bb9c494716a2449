import { BatchComposer } from './batch-composer.ts'
import type { BatchEffects } from './batch-effects.ts'
import type { Confirmations } from './confirmations.ts'
import { Courier } from './courier.ts'
import type { Devices } from './devices.ts'
import type { Grants } from './grants.ts'
import type { LaneAging } from './lane-aging.ts'
import type { LinkParts } from './link-parts.ts'
import type { LinkState, Session } from './link-state.ts'
import { Loop } from '../support/loop.ts'
import type { Messenger } from './messenger.ts'
import { isKmeError, messageOf } from '../errors.ts'

const RETRY_MS = 500

export interface SessionWorkParts {
  readonly parts: LinkParts
  readonly state: LinkState
  readonly messenger: Messenger
  readonly effects: BatchEffects
  readonly confirmations: Confirmations
  readonly devices: Devices
  readonly grants: Grants
  readonly aging: LaneAging
}

/** What a link does by itself while it has a session: brings what is owed, and composes batches. */
export class SessionWork {
  readonly #parts: LinkParts
  readonly #state: LinkState
  readonly #owed: Courier
  readonly #courier: Loop
  readonly #composer: Loop
  readonly #aging: Loop
  /** In it the peer has spoken, and what was put off was sent once more. */
  #earlyIn: Session | null = null

  constructor(work: SessionWorkParts) {
    this.#parts = work.parts
    this.#state = work.state
    this.#owed = new Courier(work)
    this.#courier = this.#sessionLoop(async (session) => {
      const again = await this.#owed.pass(session)
      // The peer's blocks may have come first: they match only now that ours are announced.
      if (again === 0) this.#composer.kick()
      return again
    })
    this.#aging = this.#sessionLoop(async (session) => {
      const again = await work.aging.pass(session)
      // What was dropped here is owed to the peer.
      if (again === 0) this.#courier.kick()
      return again
    })
    const composer = new BatchComposer(work)
    this.#composer = this.#sessionLoop(async (session) => {
      if (this.#state.end !== 'verifier') return null
      const again = await composer.pass(session)
      // A closed batch is owed to the follower.
      if (again === 0) this.#courier.kick()
      return again
    })
  }

  start(): void {
    this.#courier.start()
    this.#composer.start()
    this.#aging.start()
  }

  async stop(): Promise<void> {
    await Promise.all([this.#composer.stop(), this.#courier.stop(), this.#aging.stop()])
  }

  /** There may be something to tell and something to compose. */
  kick(): void {
    this.#courier.kick()
    this.#composer.kick()
    this.#aging.kick()
  }

  /** Something is owed to the peer. */
  owes(): void {
    this.#courier.kick()
  }

  /** Blocks were matched. */
  matched(): void {
    this.#composer.kick()
  }

  /**
   * The peer has said something by itself, so its own hello is done: what it put off is worth another
   * try now. Once in a session: two ends that put each other off would else never rest.
   */
  peerSpoke(): void {
    const { session } = this.#state
    if (!this.#owed.isPutOff || this.#earlyIn === session) return
    this.#earlyIn = session
    this.#courier.kick()
  }

  /** Rests while there is no session; whoever begins one kicks it. */
  #sessionLoop(pass: (session: Session) => Promise<number | null>): Loop {
    return new Loop({
      clock: this.#parts.clock,
      pass: async () => (this.#state.session ? pass(this.#state.session) : null),
      failed: (error) => this.#failed(error),
    })
  }

  #failed(error: unknown): number {
    if (isKmeError(error, 'LIFE_ENDED')) return RETRY_MS
    if (isKmeError(error, 'STORE_CORRUPT')) this.#parts.fatal(error)
    if (isKmeError(error, 'PEER_UNAVAILABLE')) this.#state.missedDeadline()
    else this.#report(error)
    return RETRY_MS
  }

  #report(error: unknown): void {
    const { observer, settings } = this.#parts
    const { linkId } = settings
    const message = `link ${linkId}: ${messageOf(error)}`
    if (isKmeError(error, 'PROTOCOL')) {
      observer.alarm({ name: 'peer-protocol', severity: 'major', linkId, message })
    } else {
      observer.event({ level: 'warn', name: 'link.work.failed', message })
    }
  }
}
