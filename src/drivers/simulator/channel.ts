import type { Duplex } from 'node:stream'
import { KmeError, messageOf } from '../../errors.ts'
import type { Clock, Random } from '../../ports/clock.ts'
import {
  decodeMessage,
  encodeMessage,
  FRAME,
  FrameReader,
  type Frame,
  type FrameType,
  type Message,
} from './frames.ts'
import type { Transport } from './transport.ts'

const PROTOCOL_VERSION = 1
const BEAT_MS = 2000
/** Own beats without a word from the other end: counted, not timed, so that a process that slept does not hang up. */
const MAX_SILENT_BEATS = 5
/** Bytes that may wait to be written before the other end counts as stuck. */
const MAX_UNSENT_BYTES = 16 * 1024 * 1024

export interface ChannelEnd {
  readonly role: 'leader' | 'follower'
  readonly linkId: string
  readonly deviceId: string
  /** What this end says of itself; the leader hears the follower's words first. */
  readonly greeting: () => Message
  /** The other end greeted: frames may flow. @throws KmeError PROTOCOL */
  readonly up: (greeting: Message) => void
  readonly down: (why: string) => void
  /** @throws KmeError PROTOCOL, which ends the connection */
  readonly received: (frame: Frame) => void
}

/**
 * The simulator's own channel between the two ends of a device: it stands for the fibre, so key
 * material goes through it. One connection at a time; greetings first, the follower's before the
 * leader's; a beat shows that the other end lives.
 */
export class SimulatorChannel {
  readonly #transport: Transport
  readonly #clock: Clock
  readonly #random: Random
  readonly #end: ChannelEnd
  #stream: Duplex | undefined
  #reader = new FrameReader()
  #greeted = false
  #silentBeats = 0
  #cancelBeat: (() => void) | undefined

  constructor(transport: Transport, end: ChannelEnd, parts: { clock: Clock; random: Random }) {
    this.#transport = transport
    this.#end = end
    this.#clock = parts.clock
    this.#random = parts.random
  }

  get isUp(): boolean {
    return this.#greeted
  }

  async open(): Promise<void> {
    const { linkId, deviceId } = this.#end
    await this.#transport.open({
      clock: this.#clock,
      random: this.#random,
      scope: JSON.stringify([linkId, deviceId]),
      connected: (stream) => {
        this.#attach(stream)
      },
      failed: (why) => {
        if (this.#stream === undefined) this.#end.down(why)
      },
    })
  }

  /** Sends a frame, if the other end is there. The frame is taken over. */
  send(frame: Buffer): void {
    const stream = this.#stream
    if (stream === undefined || stream.destroyed) {
      frame.fill(0)
      return
    }
    if (this.#transport.sharesBuffers) stream.write(frame)
    else stream.write(frame, () => frame.fill(0))
    if (stream.writableLength > MAX_UNSENT_BYTES) this.#drop(stream, 'the other end does not read')
  }

  sendMessage(type: FrameType, message: Message): void {
    this.send(encodeMessage(type, message))
  }

  async close(): Promise<void> {
    const stream = this.#stream
    if (stream !== undefined) this.#drop(stream, 'closed')
    await this.#transport.close()
  }

  #attach(stream: Duplex): void {
    const old = this.#stream
    if (old !== undefined) this.#drop(old, 'the other end connected anew')
    this.#stream = stream
    this.#silentBeats = 0
    stream.on('error', () => undefined)
    stream.on('data', (chunk: Buffer) => {
      this.#read(stream, chunk)
    })
    stream.once('close', () => {
      this.#drop(stream, 'the connection was closed')
    })
    stream.once('end', () => stream.destroy())
    this.#beat(stream)
    if (this.#end.role === 'follower') this.#greet()
  }

  #greet(): void {
    const { role, linkId, deviceId, greeting } = this.#end
    const own = { version: PROTOCOL_VERSION, role, linkId, deviceId }
    this.sendMessage(FRAME.hello, { ...greeting(), ...own })
  }

  #read(stream: Duplex, chunk: Buffer): void {
    if (this.#stream !== stream) return
    this.#silentBeats = 0
    try {
      // A copy: the reader wipes what it has read, and the chunk is the stream's.
      for (const frame of this.#reader.read(Buffer.from(chunk))) this.#handle(frame)
    } catch (error) {
      this.#drop(stream, messageOf(error))
    } finally {
      chunk.fill(0)
    }
  }

  #handle(frame: Frame): void {
    if (frame.type === FRAME.beat) return
    if (frame.type === FRAME.hello) {
      this.#hear(decodeMessage(frame.body))
      return
    }
    if (!this.#greeted) throw new KmeError('PROTOCOL', 'the other end speaks before it greets')
    this.#end.received(frame)
  }

  #hear(greeting: Message): void {
    const { role, linkId, deviceId, up } = this.#end
    const wanted = {
      version: PROTOCOL_VERSION,
      role: role === 'leader' ? 'follower' : 'leader',
      linkId,
      deviceId,
    }
    for (const [name, value] of Object.entries(wanted)) {
      if (greeting[name] === value) continue
      const said = JSON.stringify(greeting[name] ?? null).slice(0, 80)
      throw new KmeError('PROTOCOL', `the other end says ${name} ${said}, wanted is "${value}"`)
    }
    if (this.#greeted) throw new KmeError('PROTOCOL', 'the other end greets twice')
    this.#greeted = true
    this.#transport.proven()
    up(greeting)
  }

  /** The leader's greeting, sent once it has heard the follower's. */
  answerGreeting(): void {
    this.#greet()
  }

  #beat(stream: Duplex): void {
    this.#cancelBeat = this.#clock.after(BEAT_MS, () => {
      this.#silentBeats += 1
      if (this.#silentBeats > MAX_SILENT_BEATS) {
        this.#drop(stream, 'the other end has fallen silent')
        return
      }
      this.sendMessage(FRAME.beat, {})
      if (this.#stream === stream) this.#beat(stream)
    })
  }

  #drop(stream: Duplex, why: string): void {
    if (this.#stream === stream) {
      this.#stream = undefined
      this.#greeted = false
      this.#cancelBeat?.()
      this.#reader.wipe()
      this.#end.down(why)
    }
    stream.destroy()
  }
}
