import type { DriverFactory, QkdDriver } from '../../ports/qkd-driver.ts'
import { SIMULATOR_TYPE, SimulatorDriver } from './driver.ts'
import { simulatorOptionsSchema, type SimulatorOptions } from './options.ts'
import { ConnectingTransport, ListeningTransport } from './tls-transport.ts'
import { MemoryMeetingPoint, type Transport } from './transport.ts'

const transportOf = (options: SimulatorOptions): Transport | null => {
  const { listen, connect, secretFile } = options
  if (secretFile === undefined) return null
  if (listen !== undefined) return new ListeningTransport(listen, secretFile)
  return connect === undefined ? null : new ConnectingTransport(connect, secretFile)
}

/** A simulated device: blocks are marked `simulated`, and hold no key that physics protects. */
export const factory: DriverFactory<SimulatorOptions> = {
  type: SIMULATOR_TYPE,
  create: (options) => new SimulatorDriver(options, transportOf(options)),
}

export interface SimulatedPair {
  readonly leader: QkdDriver
  readonly follower: QkdDriver
  /** Cuts the channel between the ends; `reconnect` joins them again. */
  readonly disconnect: () => void
  readonly reconnect: () => void
}

/** Both ends of a simulated device in one process, joined in memory, not over the network. */
export const createSimulatedPair = (
  options: Partial<SimulatorOptions> = {},
  meetingPoint = new MemoryMeetingPoint(),
): SimulatedPair => {
  const parsed = simulatorOptionsSchema.parse(options)
  const [left, right] = meetingPoint.transports()
  return {
    leader: new SimulatorDriver(parsed, left),
    follower: new SimulatorDriver(parsed, right),
    disconnect: () => {
      meetingPoint.disconnect()
    },
    reconnect: () => {
      meetingPoint.connect()
    },
  }
}
