import * as z from 'zod'
import { KmeError } from '../../errors.ts'
import type { ControlValue, DriverContext } from '../../ports/qkd-driver.ts'
import { wipe } from '../../support/wipe.ts'
import { SimulatorChannel } from './channel.ts'
import type { EndStatus, SimulatorEnd } from './end.ts'
import type { Faults } from './faults.ts'
import { checkFibreValue, isFibreName } from './fibre.ts'
import {
  decodeBlock,
  decodeMessage,
  FRAME,
  text,
  wholeNumber,
  type Frame,
  type Message,
} from './frames.ts'
import { Outlet } from './outlet.ts'
import type { Transport } from './transport.ts'

const CONTROL_TIMEOUT_MS = 5000
/** More than any leading end has on its way. */
const MAX_QUEUED_BYTES = 16 * 1024 * 1024

const stateSchema = z.object({
  secretKeyRateBps: z.number().min(0),
  qber: z.number().min(0).max(1),
  lossDb: z.number().min(0),
  reason: z.string().max(300).nullable(),
  controls: z.object({ lengthKm: z.number(), extraLossDb: z.number(), eavesdropper: z.number() }),
})

type LinkState = z.output<typeof stateSchema>

interface Waiting {
  readonly resolve: () => void
  readonly reject: (error: KmeError) => void
  readonly cancelTimeout: () => void
}

/** The following end takes what the leading one ships, as far as its link wants it. */
export class FollowerEnd implements SimulatorEnd {
  readonly #context: DriverContext
  readonly #faults: Faults
  readonly #outlet: Outlet
  readonly #channel: SimulatorChannel
  readonly #waiting = new Map<number, Waiting>()
  #session: string | null = null
  /** Sequence numbers of the session: the last one received, and the last one safe here. */
  #received = 0
  #taken = 0
  #position = 0
  #state: LinkState | null = null
  #started = false
  #closed = false
  #afresh: boolean
  #disconnected: string | null = 'the other end of the device has not connected yet'
  #everConnected = false
  #controls = 0

  constructor(
    context: DriverContext,
    parts: {
      readonly faults: Faults
      readonly transport: Transport
      readonly afresh: boolean
    },
  ) {
    this.#context = context
    this.#faults = parts.faults
    this.#afresh = parts.afresh
    this.#outlet = new Outlet(context, parts.faults, () => {
      context.events.changed()
    })
    const { clock, random, linkId, deviceId } = context
    this.#channel = new SimulatorChannel(
      parts.transport,
      {
        role: 'follower',
        linkId,
        deviceId,
        greeting: () => ({ afresh: this.#afresh }),
        up: (greeting) => {
          this.#up(greeting)
        },
        down: (why) => {
          this.#down(why)
        },
        received: (frame) => {
          this.#receive(frame)
        },
      },
      { clock, random },
    )
  }

  async open(): Promise<void> {
    await this.#channel.open()
  }

  start(): void {
    this.#started = true
    this.#tellWanted()
  }

  setDemand(bytes: number): void {
    this.#outlet.setDemand(bytes)
    this.#tellWanted()
  }

  async control(name: string, value: ControlValue): Promise<void> {
    if (!isFibreName(name)) {
      throw new KmeError('BAD_REQUEST', `the simulated device has no switch "${name.slice(0, 80)}"`)
    }
    const checked = checkFibreValue(name, value)
    if (!this.#channel.isUp) {
      throw new KmeError(
        'PEER_UNAVAILABLE',
        'the leading end of the simulated device is not connected: switch it there',
      )
    }
    this.#controls += 1
    const id = this.#controls
    await new Promise<void>((resolve, reject) => {
      const cancelTimeout = this.#context.clock.after(CONTROL_TIMEOUT_MS, () => {
        this.#answer(id, new KmeError('PEER_UNAVAILABLE', 'the leading end does not answer'))
      })
      this.#waiting.set(id, { resolve, reject, cancelTimeout })
      this.#channel.sendMessage(FRAME.control, { id, name, value: checked })
    })
  }

  faultsChanged(): void {
    this.#outlet.pump()
    this.#tellWanted()
  }

  status(): EndStatus {
    // What the leading end said last holds no longer once it is lost.
    const state = this.#disconnected === null ? this.#state : null
    const unknown = { secretKeyRateBps: null, qber: null, lossDb: null, reason: null }
    const { secretKeyRateBps, qber, lossDb, reason } = state ?? unknown
    return {
      disconnected: this.#disconnected,
      everConnected: this.#everConnected,
      secretKeyRateBps,
      qber,
      lossDb,
      degraded: reason ?? this.#outlet.trouble,
      bufferedBytes: this.#outlet.queuedBytes,
      controls: { ...this.#state?.controls },
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#outlet.close()
    this.#refuseWaiting('the simulated device is closed')
    await this.#channel.close()
  }

  #up(greeting: Message): void {
    const session = text(greeting, 'session')
    if (session !== this.#session) {
      this.#session = session
      this.#taken = wholeNumber(greeting, 'taken')
      this.#received = this.#taken
      this.#position = wholeNumber(greeting, 'position')
    }
    this.#afresh = false
    this.#disconnected = null
    this.#everConnected = true
    this.#tellWanted()
    this.#context.events.changed()
  }

  #down(why: string): void {
    this.#refuseWaiting('the leading end of the simulated device was lost')
    if (this.#closed || this.#disconnected === why) return
    this.#disconnected = why
    this.#context.events.changed()
  }

  #receive(frame: Frame): void {
    if (frame.type === FRAME.block) {
      this.#receiveBlock(frame.body)
    } else if (frame.type === FRAME.state) {
      const state = stateSchema.safeParse(decodeMessage(frame.body))
      if (!state.success) throw new KmeError('PROTOCOL', 'the leading end sent an impossible state')
      this.#state = state.data
      this.#context.events.changed()
    } else if (frame.type === FRAME.controlled) {
      const answer = decodeMessage(frame.body)
      const { error } = answer as { error?: unknown }
      const why = typeof error === 'string' ? new KmeError('BAD_REQUEST', error) : null
      this.#answer(wholeNumber(answer, 'id'), why)
    } else {
      throw new KmeError('PROTOCOL', `the leading end sent a frame of type ${frame.type}`)
    }
  }

  #receiveBlock(body: Buffer): void {
    const { sequence, position, qber, material } = decodeBlock(body)
    if (sequence <= this.#received) {
      // Shipped again after a lost connection: it is here, and its receipt may be what was lost.
      wipe(material)
      this.#tellTaken()
      return
    }
    const isNext = sequence === this.#received + 1
    const fits = this.#outlet.queuedBytes + material.length <= MAX_QUEUED_BYTES
    if (!isNext || !fits || position !== this.#position + material.length) {
      wipe(material)
      throw new KmeError('PROTOCOL', 'the leading end ships blocks out of order or unasked')
    }
    this.#received = sequence
    this.#position = position
    const session = this.#session ?? ''
    this.#outlet.push({
      ref: { deviceId: this.#context.deviceId, streamId: session, vendorId: String(sequence) },
      material,
      qber,
      done: () => {
        if (session !== this.#session) return
        this.#taken = sequence
        this.#tellTaken()
      },
    })
  }

  #tellTaken(): void {
    if (this.#channel.isUp) {
      this.#channel.sendMessage(FRAME.taken, { sequence: this.#taken })
    }
    this.#tellWanted()
  }

  #tellWanted(): void {
    if (!this.#channel.isUp || !this.#started) return
    const bytes = this.#faults.stalled ? 0 : this.#outlet.wantedBytes
    this.#channel.sendMessage(FRAME.want, { position: Math.trunc(this.#position + bytes) })
  }

  #answer(id: number, error: KmeError | null): void {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined) return
    this.#waiting.delete(id)
    waiting.cancelTimeout()
    if (error === null) waiting.resolve()
    else waiting.reject(error)
  }

  #refuseWaiting(why: string): void {
    for (const id of [...this.#waiting.keys()]) {
      this.#answer(id, new KmeError('PEER_UNAVAILABLE', why))
    }
  }
}
