import { randomBytes } from 'node:crypto'
import { KmeError } from '../../src/errors.ts'
import { refKey, type BlockRef } from '../../src/model/block.ts'
import type { Random } from '../../src/ports/clock.ts'
import type {
  BlockSink,
  DeviceRole,
  DriverChannel,
  DriverContext,
  DriverEvents,
  DriverMessageBody,
  KeyBlock,
  OfferOutcome,
} from '../../src/ports/qkd-driver.ts'
import { FakeClock } from './fake-clock.ts'

export const realRandom: Random = { bytes: (lengthBytes) => randomBytes(lengthBytes) }

export interface StoredBlock {
  readonly ref: BlockRef
  readonly material: Buffer
  readonly provenance: KeyBlock['provenance']
  readonly qber: number | undefined
}

/**
 * A sink that remembers what it took, like a store: it outlives the contexts made on it, so that a
 * test can restart a driver. As the contract says, it wipes what it was offered.
 */
export class RecordingSink implements BlockSink {
  readonly blocks = new Map<string, StoredBlock>()
  /** Every outcome in order, also those that stored nothing. */
  readonly outcomes: { readonly ref: BlockRef; readonly outcome: OfferOutcome }[] = []
  checkpoint: Buffer | null = null
  offers = 0
  /** How many of the next offers fail whole. */
  failing = 0
  /** How many of the next offers are stored, but the answer is lost. */
  losingAnswers = 0
  /** What was offered, as it is now: all of it is wiped in the end. */
  readonly offered: Buffer[] = []
  /** Decides instead of the sink, where it returns an outcome. */
  decide: (block: KeyBlock) => OfferOutcome | undefined = () => undefined
  /** Called once what was offered is durable, before the driver hears of it. */
  onDurable: (stored: readonly StoredBlock[]) => void = () => undefined

  async offer(blocks: readonly KeyBlock[], checkpoint?: Buffer): Promise<readonly OfferOutcome[]> {
    this.offers += 1
    this.offered.push(...blocks.map(({ material }) => material))
    await Promise.resolve()
    if (this.failing > 0) {
      this.failing -= 1
      throw new KmeError('STORE_FAILED', 'the test store refuses to write')
    }
    if (checkpoint !== undefined) this.checkpoint = Buffer.from(checkpoint)
    const answers = blocks.map((block) => this.#take(block))
    if (this.losingAnswers > 0) {
      this.losingAnswers -= 1
      throw new KmeError('STORE_FAILED', 'the answer of the test store was lost')
    }
    this.onDurable(blocks.flatMap(({ ref }) => this.blocks.get(refKey(ref)) ?? []))
    return answers
  }

  get bytes(): number {
    return [...this.blocks.values()].reduce((sum, { material }) => sum + material.length, 0)
  }

  /** Refs in the order in which they were stored. */
  get names(): string[] {
    return [...this.blocks.values()].map(({ ref }) => `${ref.streamId}/${ref.vendorId}`)
  }

  count(outcome: OfferOutcome): number {
    return this.outcomes.filter((entry) => entry.outcome === outcome).length
  }

  #take(block: KeyBlock): OfferOutcome {
    const known = this.blocks.get(refKey(block.ref))
    const outcome = this.decide(block) ?? this.#compare(block, known)
    if (outcome === 'stored') {
      this.blocks.set(refKey(block.ref), {
        ref: block.ref,
        material: Buffer.from(block.material),
        provenance: block.provenance,
        qber: block.qber,
      })
    }
    this.outcomes.push({ ref: block.ref, outcome })
    block.material.fill(0)
    return outcome
  }

  #compare(block: KeyBlock, known: StoredBlock | undefined): OfferOutcome {
    if (known === undefined) return 'stored'
    return known.material.equals(block.material) ? 'duplicate' : 'quarantined'
  }
}

type Handler = (body: DriverMessageBody) => Promise<void>

const channelEnd = (
  mine: Map<string, Handler>,
  theirs: Map<string, Handler>,
  sent: string[],
): DriverChannel => ({
  send: async (type, body) => {
    const text = JSON.stringify(body)
    if (Buffer.byteLength(text) > 16_384) throw new TypeError('a driver message is over 16 KiB')
    sent.push(`${type} ${text}`)
    await Promise.resolve()
    const handler = theirs.get(type)
    if (handler === undefined) throw new KmeError('PEER_UNAVAILABLE', 'the other end is not open')
    await handler(JSON.parse(text) as DriverMessageBody)
  },
  on: (type, handler) => {
    mine.set(type, handler)
  },
})

/** Two ends of a driver channel; `sent` has what went through it, as text. */
export const channelPair = (): {
  readonly ends: readonly [DriverChannel, DriverChannel]
  readonly sent: readonly string[]
} => {
  const sent: string[] = []
  const left = new Map<string, Handler>()
  const right = new Map<string, Handler>()
  return { ends: [channelEnd(left, right, sent), channelEnd(right, left, sent)], sent }
}

export class RecordingEvents implements DriverEvents {
  changes = 0
  gaps = 0
  readonly alarms: string[] = []
  readonly reasons: string[] = []

  changed(): void {
    this.changes += 1
  }

  alarm(severity: 'major' | 'minor', message: string): void {
    this.alarms.push(`${severity}: ${message}`)
  }

  gap(blocks: number, why: string): void {
    this.gaps += blocks
    this.reasons.push(why)
  }
}

export interface FakeContext extends DriverContext {
  readonly clock: FakeClock
  readonly sink: RecordingSink
  readonly events: RecordingEvents
}

export interface FakeContextOptions {
  readonly role?: DeviceRole
  readonly clock?: FakeClock
  readonly sink?: RecordingSink
  readonly channel?: DriverChannel
  readonly linkId?: string
  readonly deviceId?: string
}

export const fakeContext = (options: FakeContextOptions = {}): FakeContext => {
  const sink = options.sink ?? new RecordingSink()
  return {
    linkId: options.linkId ?? 'link-1',
    deviceId: options.deviceId ?? 'device-1',
    role: options.role ?? 'leader',
    clock: options.clock ?? new FakeClock(),
    random: realRandom,
    sink,
    checkpoint: async () => (sink.checkpoint === null ? null : Buffer.from(sink.checkpoint)),
    channel: options.channel ?? channelPair().ends[0],
    events: new RecordingEvents(),
  }
}
