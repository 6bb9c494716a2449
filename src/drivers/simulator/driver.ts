import { KmeError } from '../../errors.ts'
import type { BlockRef } from '../../model/block.ts'
import type {
  ControlValue,
  DriverContext,
  DriverState,
  DriverStatus,
  OpenOptions,
  QkdDriver,
} from '../../ports/qkd-driver.ts'
import type { EndStatus, SimulatorEnd } from './end.ts'
import { Faults } from './faults.ts'
import { FollowerEnd } from './follower.ts'
import { LeaderEnd } from './leader.ts'
import type { SimulatorOptions } from './options.ts'
import { SeededEnd } from './seeded.ts'
import type { Transport } from './transport.ts'

export const SIMULATOR_TYPE = 'simulator'

/** Anything that cannot be counted exactly is as good as unbounded. */
const MAX_DEMAND_BYTES = 2 ** 45

const stateOf = (started: boolean, end: EndStatus): readonly [DriverState, string | null] => {
  if (!started) return ['initialising', 'not started yet']
  if (end.disconnected !== null) {
    return [end.everConnected ? 'down' : 'connecting', end.disconnected]
  }
  return end.degraded === null ? ['running', null] : ['degraded', end.degraded]
}

/** A simulated device. `transport` is null where it needs no other end, or has none. */
export class SimulatorDriver implements QkdDriver {
  readonly type = SIMULATOR_TYPE
  readonly family = 'identified-push'
  readonly #options: SimulatorOptions
  readonly #transport: Transport | null
  readonly #faults = new Faults()
  #end: SimulatorEnd | undefined
  #context: DriverContext | undefined
  #started = false

  constructor(options: SimulatorOptions, transport: Transport | null) {
    this.#options = options
    this.#transport = transport
  }

  async open(context: DriverContext, options: OpenOptions): Promise<void> {
    if (this.#end !== undefined) throw new TypeError('the simulated device is open already')
    const end = this.#makeEnd(context, options.afresh)
    this.#context = context
    this.#end = end
    try {
      await end.open()
    } catch (error) {
      await this.close()
      throw error
    }
  }

  async start(): Promise<void> {
    this.#started = true
    this.#end?.start()
    this.#context?.events.changed()
  }

  setDemand(bytes: number): void {
    this.#end?.setDemand(Math.min(MAX_DEMAND_BYTES, Math.max(0, bytes)))
  }

  async ack(_refs: readonly BlockRef[]): Promise<void> {
    // The device keeps nothing once a block was handed over.
  }

  async discard(_refs: readonly BlockRef[], _why: string): Promise<void> {
    // Likewise.
  }

  /**
   * Of the link, at either end: `lengthKm`, `extraLossDb`, `eavesdropper` (0 to 1). Of this end
   * alone, for tests: `stall`, and counts `dropNextBlocks`, `duplicateNextBlocks`, `flipNextBlocks`.
   * @throws KmeError BAD_REQUEST; PEER_UNAVAILABLE at a following end that has lost the leading one
   */
  async control(name: string, value: ControlValue): Promise<void> {
    const end = this.#end
    if (end === undefined) throw new KmeError('NOT_READY', 'the simulated device is not open')
    if (this.#faults.set(name, value)) {
      end.faultsChanged()
      this.#context?.events.changed()
      return
    }
    await end.control(name, value)
  }

  status(): DriverStatus {
    const end = this.#end?.status()
    if (end === undefined) {
      return {
        state: 'closed',
        reason: 'closed',
        provenance: 'simulated',
        secretKeyRateBps: null,
        qber: null,
        lossDb: null,
        bufferedBytes: 0,
        controls: {},
      }
    }
    const stalled = this.#faults.stalled ? 'stalled by the switch "stall"' : null
    const [state, reason] = stateOf(this.#started, { ...end, degraded: end.degraded ?? stalled })
    return {
      state,
      reason,
      provenance: 'simulated',
      secretKeyRateBps: end.secretKeyRateBps,
      qber: end.qber,
      lossDb: end.lossDb,
      bufferedBytes: end.bufferedBytes,
      controls: { ...end.controls, ...this.#faults.values() },
    }
  }

  async close(_options?: { readonly drainMs: number }): Promise<void> {
    const end = this.#end
    const context = this.#context
    this.#end = undefined
    this.#context = undefined
    this.#started = false
    await end?.close()
    context?.events.changed()
  }

  #makeEnd(context: DriverContext, afresh: boolean): SimulatorEnd {
    const options = this.#options
    const faults = this.#faults
    if (options.seed !== undefined) {
      return new SeededEnd(context, options, { faults, seed: options.seed, afresh })
    }
    if (context.role === 'both') return new LeaderEnd(context, options, { faults, transport: null })
    const transport = this.#transport
    if (transport === null) {
      throw new KmeError(
        'DRIVER_FAILED',
        `simulated device "${context.deviceId}" cannot reach its other end: set "listen" at one end and "connect" at the other, with "secretFile", or "seed" at both`,
      )
    }
    return context.role === 'leader'
      ? new LeaderEnd(context, options, { faults, transport })
      : new FollowerEnd(context, { faults, transport, afresh })
  }
}
