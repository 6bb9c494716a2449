import { DONE, RETRY, answerOf } from './answers.ts'
import type { GrantMessage, PeerAnswer, PeerMessage, Stamp, WantMessage } from '../ports/peer.ts'
import type { LaneGrant, LinkSnapshot, OwnWrite } from '../ports/lane-store.ts'
import { LEAST_GRANT_BYTES, freeForOwner, otherEnd } from '../model/lane.ts'
import { isOf, type LinkState, type Session } from './link-state.ts'
import { addRanges, coveredBytes } from '../model/range.ts'
import type { Greeter } from './greeter.ts'
import type { LinkParts } from './link-parts.ts'
import type { OwnLanes, UseWatcher } from './own-lanes.ts'
import { UseRate } from './use-rate.ts'
import { bytesOfBits } from '../model/units.ts'
import { isKmeError } from '../errors.ts'

/** A message that is owed, and what to do with its answer. */
export interface OwedGrant {
  readonly message: PeerMessage
  readonly answered: (answer: PeerAnswer, write: OwnWrite) => Promise<void>
}

export interface GrantsParts {
  readonly parts: LinkParts
  readonly state: LinkState
  readonly lanes: OwnLanes
  readonly greeter: Greeter
  /** Something is owed to the peer. */
  readonly owes: () => void
}

const MOST_GRANTS = 64
/** An ask that brought nothing is not repeated sooner. */
const ASK_AGAIN_MS = 1000
/** An end in use keeps so much for each byte that it expects to use, until it keeps a whole request. */
const KEPT_PER_BYTE = 16
/** No request is so large beside a small pool that an end could keep all of its lane. */
const MOST_KEPT_OF_POOL = 1 / 8

/**
 * Evens out lopsided demand: the end that runs short asks, and the other gives of its lane what it
 * does not expect to use. Neither starves while the other has key to spare, and a request never
 * waits for a grant: it is refused, and the next one finds it.
 */
export class Grants implements UseWatcher {
  readonly #with: GrantsParts
  readonly #use = new UseRate()
  #wantedBytes = 0
  #askedMs = -Infinity
  #giving = false

  constructor(parts: GrantsParts) {
    this.#with = parts
    parts.lanes.watch(this)
  }

  taken(lengthBytes: number): void {
    this.#use.add(lengthBytes, this.#nowMs())
    this.#askIfShort(0)
  }

  short(lengthBytes: number): void {
    this.#askIfShort(lengthBytes)
  }

  /** What the peer says of grants. */
  receive(stamp: Stamp, message: GrantMessage | WantMessage): Promise<PeerAnswer> {
    return message.kind === 'grant' ? this.#came(stamp, message) : this.#asked(stamp, message)
  }

  /** The peer runs short. What it gets is told by the courier: the answer promises nothing. */
  async #asked(stamp: Stamp, { lengthBytes }: WantMessage): Promise<PeerAnswer> {
    const { session } = this.#with.state
    if (!session || !isOf(stamp, session)) return RETRY
    await this.#give(session, lengthBytes)
    return DONE
  }

  /** The peer has granted ranges of its lane: they are ours to allocate from as soon as that is durable here. */
  async #came(stamp: Stamp, { lane, ranges }: GrantMessage): Promise<PeerAnswer> {
    const { parts, state, lanes } = this.#with
    const { session } = state
    const applied = await parts.store.applyGrants(parts.settings.linkId, stamp, lane, ranges)
    return answerOf(applied, (grant) => {
      if (grant === 'refused') return { result: 'refused', reason: 'not ranges of your lane' }
      state.learn(grant.snapshot)
      // A later session has read it from the store.
      if (session && state.session === session) lanes.addGrant(grant)
      this.#askedMs = -Infinity
      return DONE
    })
  }

  /** What the peer has to be told: grants that it has not acknowledged, and that this end runs short. */
  async owed(): Promise<readonly OwedGrant[]> {
    const { store, settings } = this.#with.parts
    const pending = await store.listPendingGrants(settings.linkId, MOST_GRANTS)
    return [...this.#grants(pending), ...this.#want()]
  }

  #grants(pending: readonly LaneGrant[]): readonly OwedGrant[] {
    const [first] = pending
    if (!first) return []
    const { lane } = first
    const ranges = addRanges(
      [],
      pending.map(({ range }) => range),
    )
    return [
      {
        message: { kind: 'grant', lane, ranges },
        answered: async (answer, write) => {
          if (answer.result === 'refused') this.#alarmRefused(answer.reason)
          await this.#with.parts.store.markGranted(write, pending)
        },
      },
    ]
  }

  #want(): readonly OwedGrant[] {
    const lengthBytes = this.#wantedBytes
    if (lengthBytes === 0) return []
    return [
      {
        message: { kind: 'want', lengthBytes },
        answered: async () => {
          this.#wantedBytes = 0
        },
      },
    ]
  }

  #askIfShort(refusedBytes: number): void {
    const { state, lanes } = this.#with
    const nowMs = this.#nowMs()
    if (!state.session || this.#wantedBytes > 0 || nowMs - this.#askedMs < ASK_AGAIN_MS) return
    const keepBytes = this.#keepBytes()
    const { freeBytes } = lanes
    if (refusedBytes === 0 && freeBytes >= keepBytes) return
    if (peerFreeBytes(state.snapshot) < LEAST_GRANT_BYTES) return
    const missingBytes = Math.max(0, keepBytes - freeBytes) + keepBytes
    this.#wantedBytes = Math.ceil(Math.max(LEAST_GRANT_BYTES, refusedBytes, missingBytes))
    this.#askedMs = nowMs
    this.#with.owes()
  }

  async #give(session: Session, wantedBytes: number): Promise<void> {
    if (this.#giving) return
    this.#giving = true
    try {
      await this.#giveOne(session, wantedBytes)
    } finally {
      this.#giving = false
    }
  }

  async #giveOne(session: Session, wantedBytes: number): Promise<void> {
    const { parts, state, lanes, greeter, owes } = this.#with
    const { store, settings } = parts
    // One at a time: the peer is not short before it has what was given to it.
    const snapshot = await store.readLink(settings.linkId)
    if ((await store.listPendingGrants(settings.linkId, 1)).length > 0) return
    if (state.session !== session) return
    if (snapshot.lanes[state.end].granted.length >= MOST_GRANTS) return
    const grant = lanes.takeForGrant(wantedBytes, this.#keepBytes())
    if (!grant) return
    try {
      state.learn(await store.commitGrant(state.ownWriteOf(session), grant))
    } catch (error) {
      // What was taken in memory cannot be taken back in this life.
      if (!isKmeError(error, 'LIFE_ENDED')) greeter.endLife('a commit of this KME failed')
      throw error
    }
    owes()
  }

  /** What this end expects to use, and for the one in use a request of the largest size. */
  #keepBytes(): number {
    const { limits, poolBytes } = this.#with.parts.settings
    const keyBytes = bytesOfBits(limits.maxKeySizeBits)
    const requestBytes = Math.min(
      limits.maxKeysPerRequest * keyBytes,
      poolBytes * MOST_KEPT_OF_POOL,
    )
    const expectedBytes = this.#use.bytes(this.#nowMs())
    return keyBytes + expectedBytes + Math.min(requestBytes, expectedBytes * KEPT_PER_BYTE)
  }

  #alarmRefused(reason: string): void {
    const { settings, observer } = this.#with.parts
    observer.alarm({
      name: 'peer-protocol',
      severity: 'major',
      linkId: settings.linkId,
      message: `link ${settings.linkId}: KME ${settings.peerKmeId} refused a grant: ${reason}`,
    })
  }

  #nowMs(): number {
    return this.#with.parts.now().runningMs
  }
}

const peerFreeBytes = ({ end, lanes }: LinkSnapshot): number =>
  coveredBytes(freeForOwner(lanes[otherEnd(end)]))
