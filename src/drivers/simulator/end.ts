import type { ControlValue } from '../../ports/qkd-driver.ts'

export interface EndStatus {
  /** Where the channel to the other end is down: why. Null where it is up, or none is needed. */
  readonly disconnected: string | null
  readonly everConnected: boolean
  /** Unknown to a following end that has not met the leading one. */
  readonly secretKeyRateBps: number | null
  readonly qber: number | null
  readonly lossDb: number | null
  /** Why key does not flow although the ends are connected, or null. */
  readonly degraded: string | null
  readonly bufferedBytes: number
  /** Switches of the link; those of this end's faults are not among them. */
  readonly controls: Readonly<Record<string, ControlValue>>
}

/** One end of a simulated device: it leads, follows, or goes by a seed. */
export interface SimulatorEnd {
  /** @throws KmeError DRIVER_FAILED */
  open(): Promise<void>
  start(): void
  setDemand(bytes: number): void
  /** Switches the link. @throws KmeError BAD_REQUEST, PEER_UNAVAILABLE */
  control(name: string, value: ControlValue): Promise<void>
  /** A fault of this end was switched on or off. */
  faultsChanged(): void
  status(): EndStatus
  close(): Promise<void>
}
