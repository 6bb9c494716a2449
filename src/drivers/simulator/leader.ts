import { isKmeError, KmeError, messageOf } from '../../errors.ts'
import type { ControlValue, DriverContext } from '../../ports/qkd-driver.ts'
import { wipe } from '../../support/wipe.ts'
import { SimulatorChannel } from './channel.ts'
import type { EndStatus, SimulatorEnd } from './end.ts'
import type { Faults } from './faults.ts'
import { checkFibreValue, Fibre, isFibreName } from './fibre.ts'
import {
  decodeMessage,
  encodeBlock,
  FRAME,
  text,
  wholeNumber,
  type Frame,
  type Message,
  type ShippedBlock,
} from './frames.ts'
import { KeyMeter } from './meter.ts'
import type { SimulatorOptions } from './options.ts'
import { Outlet } from './outlet.ts'
import type { Transport } from './transport.ts'

/** Blocks are made at most so often: at high rates several at once. */
const MIN_TICK_MS = 5
/** A timer is never set further ahead, so that a changed rate is noticed. */
const MAX_TICK_MS = 1000
const MAX_BLOCKS_PER_TICK = 256
/** Key that may be on its way to the other end: this, or four blocks. */
const WINDOW_BYTES = 1024 * 1024
const SESSION_BYTES = 16

/**
 * The leading end makes the key, as fast as the fibre lets it and while both ends want it, and ships
 * it. It hands a block to its own link once the other end has it safe; what was on its way when the
 * connection broke is shipped again. Without a channel (role `both`) its link alone decides.
 */
export class LeaderEnd implements SimulatorEnd {
  readonly #context: DriverContext
  readonly #options: SimulatorOptions
  readonly #faults: Faults
  readonly #fibre: Fibre
  readonly #meter: KeyMeter
  readonly #outlet: Outlet
  readonly #channel: SimulatorChannel | null
  readonly #session: string
  readonly #windowBytes: number
  /** Shipped, and not known to be safe at the other end. */
  #pending: ShippedBlock[] = []
  #pendingBytes = 0
  #sequence = 0
  #position = 0
  /** How far the other end wants the stream of key. */
  #wantedPosition = 0
  #started = false
  #closed = false
  #disconnected: string | null = 'the other end of the device has not connected yet'
  #everConnected = false
  #cancelTick: (() => void) | undefined

  constructor(
    context: DriverContext,
    options: SimulatorOptions,
    parts: { readonly faults: Faults; readonly transport: Transport | null },
  ) {
    this.#context = context
    this.#options = options
    this.#faults = parts.faults
    this.#fibre = new Fibre(options)
    this.#meter = new KeyMeter(context.clock, options)
    this.#meter.setRate(this.#fibre.conditions.secretKeyRateBps)
    this.#outlet = new Outlet(context, parts.faults, () => {
      context.events.changed()
    })
    this.#session = context.random.bytes(SESSION_BYTES).toString('hex')
    this.#windowBytes = Math.max(WINDOW_BYTES, 4 * options.blockBytes)
    this.#channel = parts.transport === null ? null : this.#makeChannel(parts.transport)
    if (this.#channel === null) this.#disconnected = null
  }

  async open(): Promise<void> {
    await this.#channel?.open()
  }

  start(): void {
    this.#started = true
    this.#flow()
  }

  setDemand(bytes: number): void {
    this.#outlet.setDemand(bytes)
    this.#flow()
  }

  async control(name: string, value: ControlValue): Promise<void> {
    if (!isFibreName(name)) {
      throw new KmeError('BAD_REQUEST', `the simulated device has no switch "${name.slice(0, 80)}"`)
    }
    this.#fibre.set(name, checkFibreValue(name, value))
    this.#meter.setRate(this.#fibre.conditions.secretKeyRateBps)
    this.#tellState()
    this.#context.events.changed()
    this.#flow()
  }

  faultsChanged(): void {
    this.#outlet.pump()
    this.#flow()
  }

  status(): EndStatus {
    const { secretKeyRateBps, qber, lossDb, reason } = this.#fibre.conditions
    return {
      disconnected: this.#disconnected,
      everConnected: this.#everConnected,
      secretKeyRateBps,
      qber,
      lossDb,
      degraded: reason ?? this.#outlet.trouble,
      bufferedBytes: this.#outlet.queuedBytes + this.#pendingBytes,
      controls: { ...this.#fibre.state },
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#cancelTick?.()
    this.#outlet.close()
    await this.#channel?.close()
    for (const { material } of this.#pending) wipe(material)
    this.#pending = []
    this.#pendingBytes = 0
  }

  /** Whether a block may be made now. */
  get #mayMake(): boolean {
    if (!this.#started || this.#closed || this.#faults.stalled) return false
    if (this.#outlet.wantedBytes - this.#pendingBytes <= 0) return false
    if (this.#channel === null) return true
    return (
      this.#channel.isUp &&
      this.#position < this.#wantedPosition &&
      this.#pendingBytes < this.#windowBytes
    )
  }

  /** Lets the device run or stand still, as things are now, and sets the one timer. */
  #flow(): void {
    this.#cancelTick?.()
    this.#cancelTick = undefined
    for (let made = 0; made < MAX_BLOCKS_PER_TICK; made += 1) {
      this.#meter.run(this.#mayMake)
      if (!this.#mayMake || !this.#meter.take()) break
      this.#make()
    }
    if (!this.#mayMake) return
    const dueMs = this.#meter.nextMs()
    if (dueMs === Infinity) return
    const delayMs = Math.min(MAX_TICK_MS, Math.max(MIN_TICK_MS, dueMs))
    this.#cancelTick = this.#context.clock.after(delayMs, () => {
      this.#flow()
    })
  }

  #make(): void {
    const material = this.#context.random.bytes(this.#options.blockBytes)
    this.#sequence += 1
    this.#position += material.length
    const block: ShippedBlock = {
      sequence: this.#sequence,
      position: this.#position,
      qber: this.#fibre.conditions.qber,
      material,
    }
    if (this.#channel === null) {
      this.#handOver(block)
      return
    }
    this.#pending.push(block)
    this.#pendingBytes += material.length
    this.#channel.send(encodeBlock(block))
  }

  #handOver(block: ShippedBlock): void {
    this.#outlet.push({
      ref: {
        deviceId: this.#context.deviceId,
        streamId: this.#session,
        vendorId: String(block.sequence),
      },
      material: block.material,
      qber: block.qber,
      done: () => {
        // From a turn of its own: taking a block may make the next one at once.
        queueMicrotask(() => {
          this.#flow()
        })
      },
    })
  }

  #makeChannel(transport: Transport): SimulatorChannel {
    const { clock, random, linkId, deviceId } = this.#context
    return new SimulatorChannel(
      transport,
      {
        role: 'leader',
        linkId,
        deviceId,
        greeting: () => this.#greeting(),
        up: (greeting) => {
          this.#up(greeting)
        },
        down: (why) => {
          this.#down(why)
        },
        received: (frame) => {
          this.#received(frame)
        },
      },
      { clock, random },
    )
  }

  #greeting(): Message {
    return {
      session: this.#session,
      taken: this.#sequence - this.#pending.length,
      position: this.#position - this.#pendingBytes,
    }
  }

  #up(greeting: Message): void {
    if (greeting['afresh'] === true) this.#forgetPending()
    this.#disconnected = null
    this.#everConnected = true
    this.#wantedPosition = 0
    this.#channel?.answerGreeting()
    this.#tellState()
    for (const block of this.#pending) this.#channel?.send(encodeBlock(block))
    this.#context.events.changed()
  }

  /** The other end begins anew and must not get what was made before. */
  #forgetPending(): void {
    const lost = this.#pending.length
    for (const { material } of this.#pending) wipe(material)
    this.#pending = []
    this.#pendingBytes = 0
    if (lost > 0) this.#context.events.gap(lost, 'the other end of the device was opened afresh')
  }

  #down(why: string): void {
    if (this.#closed || this.#disconnected === why) return
    this.#disconnected = why
    this.#flow()
    this.#context.events.changed()
  }

  #received(frame: Frame): void {
    const message = decodeMessage(frame.body)
    if (frame.type === FRAME.want) {
      this.#wantedPosition = wholeNumber(message, 'position')
      this.#flow()
    } else if (frame.type === FRAME.taken) {
      this.#taken(wholeNumber(message, 'sequence'))
    } else if (frame.type === FRAME.control) {
      void this.#answerControl(message)
    } else {
      throw new KmeError('PROTOCOL', `the following end sent a frame of type ${frame.type}`)
    }
  }

  #taken(sequence: number): void {
    if (sequence > this.#sequence) {
      throw new KmeError('PROTOCOL', 'the following end took a block that was never made')
    }
    while (this.#pending[0] !== undefined && this.#pending[0].sequence <= sequence) {
      const block = this.#pending.shift()
      if (block === undefined) break
      this.#pendingBytes -= block.material.length
      this.#handOver(block)
    }
    this.#flow()
  }

  async #answerControl(message: Message): Promise<void> {
    const id = message['id'] ?? null
    try {
      const value = message['value']
      if (typeof value !== 'number') throw new KmeError('BAD_REQUEST', 'a switch takes a number')
      await this.control(text(message, 'name'), value)
      this.#channel?.sendMessage(FRAME.controlled, { id, error: null })
    } catch (error) {
      const why = isKmeError(error) ? error.message : messageOf(error)
      this.#channel?.sendMessage(FRAME.controlled, { id, error: why })
    }
  }

  #tellState(): void {
    if (this.#channel?.isUp !== true) return
    this.#channel.sendMessage(FRAME.state, {
      ...this.#fibre.conditions,
      controls: this.#fibre.state,
    })
  }
}
