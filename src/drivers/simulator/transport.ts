import { duplexPair, type Duplex } from 'node:stream'
import type { Clock, Random } from '../../ports/clock.ts'

export interface TransportContext {
  readonly clock: Clock
  readonly random: Random
  /** Binds the secret to the link and the device, so that two devices may share a file. */
  readonly scope: string
  /** A connection to the other end, authenticated and private. The newest one counts. */
  readonly connected: (stream: Duplex) => void
  /** Why there is none, in one line. */
  readonly failed: (why: string) => void
}

/** What brings the two ends of a simulated device together. It connects again by itself. */
export interface Transport {
  /** The other end reads the very buffers that this one writes: the reader wipes them. */
  readonly sharesBuffers: boolean
  /** @throws KmeError DRIVER_FAILED where it can never work as configured */
  open(context: TransportContext): Promise<void>
  /** The other end is the right one: the next try after this connection may come soon. */
  proven(): void
  close(): Promise<void>
}

/** Where the two ends of a device in one process meet. */
export class MemoryMeetingPoint {
  readonly #waiting = new Map<MemoryTransport, TransportContext>()
  #streams: readonly Duplex[] = []

  /** Two transports, one for each end; each may be opened again after it was closed. */
  transports(): readonly [Transport, Transport] {
    return [new MemoryTransport(this), new MemoryTransport(this)]
  }

  enter(transport: MemoryTransport, context: TransportContext): void {
    this.#waiting.set(transport, context)
    this.connect()
  }

  leave(transport: MemoryTransport): void {
    this.#waiting.delete(transport)
    this.disconnect()
  }

  /** Connects the two ends, if both are there. */
  connect(): void {
    const [first, second] = [...this.#waiting.values()]
    if (first === undefined || second === undefined) return
    const [left, right] = duplexPair()
    this.#streams = [left, right]
    first.connected(left)
    second.connected(right)
  }

  /** Cuts the connection. The ends stay apart until `connect`, or until one enters again. */
  disconnect(): void {
    const streams = this.#streams
    this.#streams = []
    for (const stream of streams) stream.destroy()
  }
}

class MemoryTransport implements Transport {
  readonly sharesBuffers = true
  readonly #meetingPoint: MemoryMeetingPoint

  constructor(meetingPoint: MemoryMeetingPoint) {
    this.#meetingPoint = meetingPoint
  }

  async open(context: TransportContext): Promise<void> {
    this.#meetingPoint.enter(this, context)
  }

  proven(): void {
    // Meets the other end at once or never: there is nothing to wait for.
  }

  async close(): Promise<void> {
    this.#meetingPoint.leave(this)
  }
}
