import { isKmeError, messageOf } from '../errors.ts'
import { composeHello, judgeHello } from './hello.ts'
import { HelloQuestion } from './hello-question.ts'
import { Backoff } from '../support/backoff.ts'
import type { Hello, Peer } from '../ports/peer.ts'
import type { EpochDecision, HelloDecision } from './hello.ts'
import type { LinkParts } from './link-parts.ts'
import type { LinkSnapshot } from '../ports/lane-store.ts'
import type { LinkState } from './link-state.ts'
import { Loop } from '../support/loop.ts'
import { otherEnd, sameEpoch, wasRestored } from '../model/lane.ts'

const FIRST_RETRY_MS = 100
const MOST_RETRY_MS = 2_000

/** What the peer said, and our durable state when it was asked. */
interface Answered {
  readonly asked: LinkSnapshot
  readonly answer: Hello
}

/**
 * Keeps the link greeted: whenever there is no session, asks hello until one is agreed. Answers the
 * peer's questions from durable state.
 */
export class Greeter {
  readonly #parts: LinkParts
  readonly #state: LinkState
  readonly #peer: Peer
  readonly #loop: Loop
  readonly #backoff: Backoff
  readonly #beforeSession: () => Promise<void>
  readonly #question: HelloQuestion<Answered>
  #lifeBegun = false
  #lastReported = ''
  #ignoreRestores: () => void = () => undefined

  /** `beforeSession` makes ready what may be used as soon as the session has begun. */
  constructor(parts: LinkParts, state: LinkState, peer: Peer, beforeSession: () => Promise<void>) {
    this.#parts = parts
    this.#beforeSession = beforeSession
    this.#state = state
    this.#peer = peer
    this.#question = new HelloQuestion(parts.clock, () => this.#ask())
    this.#backoff = new Backoff({
      random: parts.random,
      firstMs: FIRST_RETRY_MS,
      mostMs: MOST_RETRY_MS,
    })
    this.#loop = new Loop({
      clock: parts.clock,
      pass: () => this.#pass(),
      failed: (error) => this.#failed(error),
    })
  }

  start(): void {
    // Whichever link of the store finds it: none goes on from what the store was before.
    this.#ignoreRestores = this.#parts.store.onRestored(() => {
      this.endLife('the store of this KME was restored')
    })
    this.#loop.start()
  }

  async stop(): Promise<void> {
    await this.#loop.stop()
    this.#ignoreRestores()
  }

  /** Something was heard of the peer: ask now rather than when the back-off ends. */
  nudge(): void {
    if (this.#state.session) return
    this.#question.heardFromPeer()
    this.#backoff.reset()
    this.#loop.kick()
  }

  /** The peer cannot be reached; greets anew. */
  loseSession(reason: string): void {
    this.#state.loseSession(reason)
    this.#loop.kick()
  }

  /** The session is over, for that reason; greets anew. */
  endSession(reason: string): void {
    this.#state.endSession(reason)
    this.#loop.kick()
  }

  /** A commit failed: nothing that was allocated in this life may be allocated again in it. */
  endLife(reason: string): void {
    this.#lifeBegun = false
    this.endSession(reason)
  }

  async answer(question: Hello): Promise<Hello> {
    const { store, settings } = this.#parts
    const { snapshot, peerLifeRose } = await store.hearHello(settings.linkId, {
      epoch: question.epoch,
      life: question.life,
    })
    this.#state.learn(snapshot)
    if (peerLifeRose) this.endSession('the peer KME has started anew')
    else if (isLater(question, snapshot)) this.endSession('the peer KME names a later epoch')
    else if (this.#state.session && isOdd(question, snapshot)) {
      this.endSession('the peer KME names an earlier epoch, or another state of its store')
    }
    this.nudge()
    return composeHello(snapshot, question.nonce)
  }

  async #pass(): Promise<number | null> {
    if (this.#state.session) return null
    if (!this.#lifeBegun) await this.#beginLife()
    const { asked, answer } = await this.#question.answer()
    const now = await this.#parts.store.readLink(this.#parts.settings.linkId)
    return this.#follow(judgeHello({ asked, now, answer }), asked)
  }

  async #ask(): Promise<Answered> {
    const { store, settings, random } = this.#parts
    const asked = await store.readLink(settings.linkId)
    const question = composeHello(asked, random.bytes(16).toString('hex'))
    return { asked, answer: await this.#peer.hello(question) }
  }

  async #beginLife(): Promise<void> {
    this.#state.learn(await this.#parts.store.beginLife(this.#parts.settings.linkId))
    this.#lifeBegun = true
  }

  /** Returns in how many milliseconds to ask again, or null where the link is greeted. */
  async #follow(decision: HelloDecision, asked: LinkSnapshot): Promise<number | null> {
    switch (decision.kind) {
      case 'agree':
        return this.#agree(decision, asked)
      case 'begin':
        await this.#begin(decision, asked)
        return 0
      case 'self-restored':
        await this.#becomeRestored(decision.reason, asked)
        return 0
      case 'wait':
        this.#report('info', decision.reason)
        return this.#backoff.next()
      case 'refuse':
        this.#alarmProtocol(decision.reason)
        return MOST_RETRY_MS
    }
  }

  async #agree(
    decision: Extract<HelloDecision, { kind: 'agree' }>,
    asked: LinkSnapshot,
  ): Promise<number | null> {
    const { store, settings, now, observer } = this.#parts
    const write = { linkId: settings.linkId, life: asked.life, epoch: asked.epoch }
    const { endings } = this.#state
    const snapshot = await store.applyHello(write, decision.agreement)
    if (!snapshot.epoch) throw new TypeError('a hello is agreed in an epoch')
    this.#state.learn(snapshot)
    // What is taken from now on would not be in what `beforeSession` reads.
    this.#state.pauseAllocating()
    await this.#beforeSession()
    // Meanwhile the peer has begun another life, or a commit has ended ours.
    if (this.#state.endings !== endings) return 0
    this.#backoff.reset()
    this.#lastReported = ''
    this.#state.beginSession({
      life: snapshot.life,
      epoch: snapshot.epoch,
      peerLife: decision.agreement.peer.life,
      sinceMs: now().runningMs,
    })
    observer.clear('peer-protocol', { linkId: settings.linkId })
    observer.event({
      level: 'info',
      name: 'link.hello.agreed',
      message: `link ${settings.linkId}: agreed with KME ${settings.peerKmeId}`,
      fields: { epoch: snapshot.epoch.counter, life: snapshot.life },
    })
    return null
  }

  async #begin(decision: EpochDecision, asked: LinkSnapshot): Promise<void> {
    const { store, settings, random, observer } = this.#parts
    const id = decision.epochId ?? random.bytes(16).toString('hex')
    const epoch = { counter: decision.counter, id }
    const write = { linkId: settings.linkId, life: asked.life, epoch: asked.epoch }
    const { afterRestoreOf } = decision
    this.#state.learn(await store.beginEpoch(write, epoch, decision.peer, afterRestoreOf))
    this.#alarmRestores(decision)
    observer.event({
      level: 'info',
      name: 'link.epoch.begun',
      message: `link ${settings.linkId}: epoch ${String(epoch.counter)} has begun`,
    })
  }

  /** Every link of the store hears of it, this one too. */
  async #becomeRestored(reason: string, { generation }: LinkSnapshot): Promise<void> {
    const { store, now } = this.#parts
    this.#alarmRestored('self', `${reason}; keys held for SAEs of this KME are dropped`)
    await store.becomeRestored(generation, now())
  }

  #failed(error: unknown): number {
    if (isKmeError(error, 'STORE_CORRUPT')) this.#parts.fatal(error)
    if (isKmeError(error, 'PROTOCOL')) this.#alarmProtocol(error.message)
    else this.#report('info', messageOf(error))
    return this.#backoff.next()
  }

  #alarmRestores({ afterRestoreOf, counter }: EpochDecision): void {
    const { end } = this.#state
    const consequence = `epoch ${String(counter)} has begun with new key; what was stored before is dropped`
    if (wasRestored(afterRestoreOf, end)) this.#alarmRestored('self', consequence)
    if (wasRestored(afterRestoreOf, otherEnd(end))) this.#alarmRestored('peer', consequence)
  }

  /** Stands until the next start: operators must see it though the link goes on. */
  #alarmRestored(who: 'self' | 'peer', consequence: string): void {
    const { settings, observer } = this.#parts
    const whose = who === 'self' ? 'this KME' : `KME ${settings.peerKmeId}`
    observer.alarm({
      name: `${who}-restored`,
      severity: 'major',
      linkId: settings.linkId,
      message: `link ${settings.linkId}: the store of ${whose} was restored or replaced: ${consequence}`,
    })
  }

  #alarmProtocol(reason: string): void {
    const { settings, observer } = this.#parts
    const message = `link ${settings.linkId}: KME ${settings.peerKmeId} cannot be agreed with: ${reason}`
    this.#state.endSession(message)
    observer.alarm({ name: 'peer-protocol', severity: 'major', linkId: settings.linkId, message })
  }

  /** One line per change, not one per try. */
  #report(level: 'info' | 'warn', reason: string): void {
    const { settings, observer } = this.#parts
    this.#state.loseSession(reason)
    if (reason === this.#lastReported) return
    this.#lastReported = reason
    observer.event({
      level,
      name: 'link.hello.waiting',
      message: `link ${settings.linkId}: waiting for KME ${settings.peerKmeId}: ${reason}`,
    })
  }
}

const isLater = (question: Hello, snapshot: LinkSnapshot): boolean =>
  question.epoch !== null &&
  !sameEpoch(question.epoch, snapshot.epoch) &&
  question.epoch.counter > (snapshot.epoch?.counter ?? 0)

/** Only the answer to our own question counts; but it shows that there is something to ask. */
const isOdd = (question: Hello, { epoch, knownOfPeer }: LinkSnapshot): boolean =>
  question.restored ||
  !sameEpoch(question.epoch, epoch) ||
  (knownOfPeer !== null &&
    (question.generation !== knownOfPeer.generation || question.life < knownOfPeer.life))
