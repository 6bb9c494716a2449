import type { ControlValue } from '../ports/qkd-driver.ts'
import type { Destination } from '../ports/destination.ts'
import type { Device } from './device.ts'
import type { DeviceId, KmeId, LinkId, SaeId } from '../model/ids.ts'
import type { LinkSnapshot } from '../ports/lane-store.ts'
import type { RegisteredSae } from '../model/delivery.ts'

/** What the rest of the KME sees of a link, whether to a peer or of the KME with itself. */
export interface Link {
  readonly linkId: LinkId
  readonly peerKmeId: KmeId
  readonly destination: Destination
  readonly devices: readonly Device[]
  start(): void
  stop(): Promise<void>
  /** The last durable state known, what is missing, and whether the peer answers. */
  readonly snapshot: LinkSnapshot
  /** Empty where the link is agreed; otherwise why not, for people. */
  readonly waitingFor: string
  readonly silent: boolean
  /** The peer's registration of an SAE; null where it has none, undefined where no list ever came. */
  peerSae(saeId: SaeId): RegisteredSae | null | undefined
  control(deviceId: DeviceId, name: string, value: ControlValue): Promise<void>
}
