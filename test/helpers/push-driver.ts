import type {
  ControlValue,
  DriverContext,
  DriverStatus,
  KeyBlock,
  OfferOutcome,
  OpenOptions,
  QkdDriver,
} from '../../src/ports/qkd-driver.ts'
import type { BlockRef } from '../../src/model/block.ts'

/** A device end that offers what a test gives it. */
export class PushDriver implements QkdDriver {
  readonly type = 'push'
  readonly family = 'identified-push'
  readonly acked: BlockRef[] = []
  readonly discarded: BlockRef[] = []
  demandBytes = 0
  #context: DriverContext | null = null

  async open(context: DriverContext, _options?: OpenOptions): Promise<void> {
    this.#context = context
  }

  async start(): Promise<void> {
    // Blocks come from `push`.
  }

  get isOpen(): boolean {
    return this.#context !== null
  }

  /** Offers copies: the sink wipes what it gets. */
  async push(
    ...blocks: readonly { vendorId: string; material: Buffer }[]
  ): Promise<readonly OfferOutcome[]> {
    const context = this.#context
    if (!context) throw new Error('the driver is not open')
    return context.sink.offer(
      blocks.map(({ vendorId, material }): KeyBlock => ({
        ref: { deviceId: context.deviceId, streamId: 's', vendorId },
        material: Buffer.from(material),
        provenance: 'emulated',
      })),
    )
  }

  setDemand(bytes: number): void {
    this.demandBytes = bytes
  }

  async ack(refs: readonly BlockRef[]): Promise<void> {
    this.acked.push(...refs)
  }

  async discard(refs: readonly BlockRef[]): Promise<void> {
    this.discarded.push(...refs)
  }

  async control(_name: string, _value: ControlValue): Promise<void> {
    // Nothing to switch.
  }

  status(): DriverStatus {
    return {
      state: this.#context ? 'running' : 'closed',
      reason: null,
      provenance: 'emulated',
      secretKeyRateBps: null,
      qber: null,
      lossDb: null,
      bufferedBytes: null,
      controls: {},
    }
  }

  async close(): Promise<void> {
    this.#context = null
  }
}
