import { sameEpoch, type Epoch, type LinkEnd } from '../model/lane.ts'
import type { LinkSnapshot, OwnWrite } from '../ports/lane-store.ts'
import { KmeError } from '../errors.ts'
import type { Stamp } from '../ports/peer.ts'

/** An agreed hello: what may be said and allocated depends on it. */
export interface Session {
  readonly life: number
  readonly epoch: Epoch
  readonly peerLife: number
  /** Running time at which it was agreed. */
  readonly sinceMs: number
}

/** Whether a message is of the session. */
export const isOf = (stamp: Stamp, { life, peerLife, epoch }: Session): boolean =>
  stamp.receiverLife === life && stamp.senderLife === peerLife && sameEpoch(stamp.epoch, epoch)

/**
 * Where a link stands, in memory: the last durable snapshot and, between a successful hello and
 * whatever ends it, the session.
 */
export class LinkState {
  #snapshot: LinkSnapshot
  #session: Session | null = null
  /** The session, also when only the connection to the peer was lost since. */
  #allocating: Session | null = null
  /** Why there is no session, for people. */
  #reason = 'starting'
  #silent = false
  #endings = 0
  #introduced: { readonly session: Session; readonly version: number } | null = null
  readonly #listeners: (() => void)[] = []

  constructor(snapshot: LinkSnapshot) {
    this.#snapshot = snapshot
  }

  get snapshot(): LinkSnapshot {
    return this.#snapshot
  }

  get end(): LinkEnd {
    return this.#snapshot.end
  }

  get session(): Session | null {
    return this.#session
  }

  /** What may be allocated in; with `confirm: local` that goes on while the peer cannot be reached. */
  get allocating(): Session | null {
    return this.#allocating
  }

  get reason(): string {
    return this.#session ? '' : this.#reason
  }

  /** Known to be down: from a missed deadline to the peer's next answer. */
  get silent(): boolean {
    return this.#silent
  }

  /** How often something has ended a session, or what was to become one. */
  get endings(): number {
    return this.#endings
  }

  /**
   * Version of our list of SAEs that the peer has acknowledged in the session that is allocated in,
   * or null. It refuses deliveries of masters that it does not know.
   */
  get introducedVersion(): number | null {
    const introduced = this.#introduced
    return introduced && introduced.session === this.#allocating ? introduced.version : null
  }

  introduced(session: Session, version: number): void {
    this.#introduced = { session, version }
  }

  /** Keeps a durable snapshot, unless a later one is known already. */
  learn(snapshot: LinkSnapshot): void {
    const known = this.#snapshot
    if (snapshot.life < known.life || snapshot.commitCounter < known.commitCounter) return
    this.#snapshot = snapshot
  }

  heardFromPeer(): void {
    if (!this.#silent) return
    this.#silent = false
    this.#changed()
  }

  missedDeadline(): void {
    if (this.#silent) return
    this.#silent = true
    this.#changed()
  }

  /** Until the next session begins nothing is allocated. */
  pauseAllocating(): void {
    this.#allocating = null
  }

  beginSession(session: Session): void {
    this.#session = session
    this.#allocating = session
    this.#silent = false
    this.#changed()
  }

  endSession(reason: string): void {
    this.#allocating = null
    this.loseSession(reason)
  }

  /** The peer cannot be reached: the hello ends, and nothing else. */
  loseSession(reason: string): void {
    const had = this.#session !== null
    this.#endings += 1
    this.#session = null
    this.#reason = reason
    if (had) this.#changed()
  }

  /** Called back when the session begins or ends, or the peer falls silent or is heard again. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  /** The life and epoch that writes belong to: also without a session. */
  ownWrite(): OwnWrite {
    const { identity, life, epoch } = this.#snapshot
    return { linkId: identity.linkId, life, epoch }
  }

  /** What a write of the session names. @throws KmeError LIFE_ENDED where nothing of it may be written any more */
  ownWriteOf(session: Session): OwnWrite {
    if (session !== this.#allocating) throw sessionOver()
    return {
      linkId: this.#snapshot.identity.linkId,
      life: session.life,
      epoch: session.epoch,
    }
  }

  /** What a message of the session names. @throws KmeError LIFE_ENDED where the session is over */
  stampOf(session: Session): Stamp {
    if (session !== this.#session) throw sessionOver()
    return {
      epoch: session.epoch,
      senderLife: session.life,
      receiverLife: session.peerLife,
      commitCounter: this.#snapshot.commitCounter,
    }
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }
}

const sessionOver = (): KmeError => new KmeError('LIFE_ENDED', 'the hello has ended')
