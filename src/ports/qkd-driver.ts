import type { Clock, Random } from './clock.ts'
import type { BlockRef, Provenance } from '../model/block.ts'
import type { DeviceId, LinkId } from '../model/ids.ts'

/**
 * The border to QKD devices. A driver gets a context and nothing else; from above, the simulator
 * and a hardware driver cannot be told apart but for the provenance of their blocks.
 *
 * There are two families of hand-off:
 *  - identified-push: both ends emit the same block under the same ref, independently;
 *  - leader-pull: the leading end obtains (key, ID) from its box, and the other end can only ask
 *    its own box by ID: it implements `fetch`.
 */
export type DriverFamily = 'identified-push' | 'leader-pull'

/** Which end of the device this driver is. `both`: one source that needs no second end. */
export type DeviceRole = 'leader' | 'follower' | 'both'

export interface KeyBlock {
  readonly ref: BlockRef
  /** Key bytes. Ownership passes to the sink, which wipes them. */
  readonly material: Buffer
  /** QBER measured while the block was made, 0 to 1, where the device tells. */
  readonly qber?: number
  readonly provenance: Provenance
}

/** What became of an offered block. `stored` and `duplicate` are durable: acknowledge them at the source. */
export type OfferOutcome =
  | 'stored'
  /** Known with the same bytes; nothing changed. */
  | 'duplicate'
  /** Not wanted: gone at the link, or offered in another epoch. Discard it. */
  | 'refused'
  /** Failed a health test, or its ref is known with other bytes. Kept apart, never delivered. */
  | 'quarantined'

export interface BlockSink {
  /**
   * Offers blocks in order, at most 1024, one offer at a time. All is durable when the promise
   * resolves; the answer has one outcome per block. A long offer is stored in several transactions,
   * the checkpoint in the last: it never counts a block that is not stored. No blocks: the checkpoint
   * alone is stored. An end that offers again after an error offers the same bytes under the same ref.
   * @throws KmeError where not all was stored, the checkpoint for one: offer again later; blocks that
   * were stored come back as `duplicate`
   */
  offer(blocks: readonly KeyBlock[], checkpoint?: Buffer): Promise<readonly OfferOutcome[]>
}

/**
 * The channel to the driver at the other end of the device: for IDs and stream IDs, at least once,
 * in no promised order. Key material never goes through it.
 */
export interface DriverChannel {
  /** Resolves when the other end's driver has handled the message. @throws KmeError PEER_UNAVAILABLE */
  send(type: string, body: DriverMessageBody): Promise<void>
  on(type: string, handler: (body: DriverMessageBody) => Promise<void>): void
}

/** At most 16 KiB as JSON. */
export type DriverMessageBody = Readonly<Record<string, string | number | boolean | null>>

export interface DriverContext {
  readonly linkId: LinkId
  readonly deviceId: DeviceId
  readonly role: DeviceRole
  readonly clock: Clock
  readonly random: Random
  readonly sink: BlockSink
  /** The last checkpoint stored with `offer` in this epoch, or null. */
  checkpoint(): Promise<Buffer | null>
  readonly channel: DriverChannel
  readonly events: DriverEvents
}

/** What a driver tells while it runs. None of these throws. */
export interface DriverEvents {
  /** The status changed: read `status()`. */
  changed(): void
  alarm(severity: 'major' | 'minor', message: string): void
  /** The source lost blocks that this end will never offer. */
  gap(blocks: number, why: string): void
}

/**
 * closed -> connecting -> initialising -> running <-> degraded -> down (retries with back-off) ->
 * failed (needs an operator).
 */
export type DriverState =
  'closed' | 'connecting' | 'initialising' | 'running' | 'degraded' | 'down' | 'failed'

/** What a device tells of itself, in the terms of ETSI GS QKD 015; null where it does not tell. */
export interface DriverStatus {
  readonly state: DriverState
  /** One line, where the state is not `running`. */
  readonly reason: string | null
  readonly provenance: Provenance
  /** Secret key rate in bits per second of the device's own clock. */
  readonly secretKeyRateBps: number | null
  /** Quantum bit error rate, 0 to 1. */
  readonly qber: number | null
  /** Loss of the channel in dB. */
  readonly lossDb: number | null
  /** Bytes that the source holds and has not offered yet. */
  readonly bufferedBytes: number | null
  /** Switches of `control` and their values. */
  readonly controls: Readonly<Record<string, ControlValue>>
}

export type ControlValue = string | number | boolean

export type FetchOutcome =
  /** Offered to the sink and durable. */
  | 'ok'
  /** Anything but a definite refusal: ask again. */
  | 'retry'
  /** The box has refused for good: nobody will ever get this block here. */
  | 'gone'

export interface OpenOptions {
  /**
   * In an epoch after a restore: discard what the source still holds from before, unread, for its
   * bytes may have been issued. Nothing that was there before `open` is offered.
   */
  readonly afresh: boolean
}

/**
 * A driver is made by its factory from its options, opened once, and closed once. All methods may
 * be called in any state after `open`; a driver never throws synchronously, never blocks the event
 * loop, and bounds all of its input and output in size and time.
 */
export interface QkdDriver {
  readonly type: string
  readonly family: DriverFamily
  /** Connects or listens, validates against the device. No key flows yet. @throws KmeError DRIVER_FAILED */
  open(context: DriverContext, options: OpenOptions): Promise<void>
  /** Lets key flow, resuming from the checkpoint. */
  start(): Promise<void>
  /**
   * Back-pressure: how many bytes the link wants in all from now on; 0 means pause. The driver
   * offers no more than that until it is called again (one block may overshoot it).
   */
  setDemand(bytes: number): void
  /** leader-pull, following end: fetches blocks that the leader announced, offering them to the sink. */
  fetch?(refs: readonly BlockRef[]): Promise<readonly FetchOutcome[]>
  /** The blocks are durable on this side: the source may delete them. Idempotent. */
  ack(refs: readonly BlockRef[]): Promise<void>
  /** The blocks are not wanted: erase them at the source where possible. Idempotent. */
  discard(refs: readonly BlockRef[], why: string): Promise<void>
  /** Switches a simulated fault or condition; absent on hardware. @throws KmeError BAD_REQUEST on an unknown name or value */
  control?(name: string, value: ControlValue): Promise<void>
  status(): DriverStatus
  /** Stops the flow, closes what is open, wipes buffers. Idempotent. */
  close(options: { readonly drainMs: number }): Promise<void>
}

/** What each driver folder's `index.ts` exports under `factory`. */
export interface DriverFactory<Options> {
  readonly type: string
  readonly create: (options: Options) => QkdDriver
}
