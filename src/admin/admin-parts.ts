import type { Provenance } from '../model/block.ts'
import type { DeviceId, KmeId, LinkId } from '../model/ids.ts'
import type { Epoch, LaneName, LinkEnd } from '../model/lane.ts'
import type { Ledger } from '../model/ledger.ts'
import type { Alarm } from '../ports/observer.ts'
import type { ControlValue, DeviceRole, DriverStatus } from '../ports/qkd-driver.ts'

/**
 * What the operator API shows, as plain data: every type here is also the JSON of its answer. None
 * of it is ever key material. Whoever composes the KME fills it in.
 */
export interface AdminParts {
  kme(): KmeView
  /** In the order of the configuration. */
  links(): Promise<readonly LinkView[]>
  /** Why the KME is not ready to deliver; none means ready. */
  readiness(): readonly ReadyReason[]
  /** Alarms that stand, the oldest first. */
  alarms(): readonly AlarmView[]
  /**
   * Turns a switch of a device. The link and the device exist, for they are among `links()`.
   * @throws KmeError BAD_REQUEST: no such switch, a value that it does not take, or a device without switches
   */
  control(linkId: LinkId, deviceId: DeviceId, name: string, value: ControlValue): Promise<void>
  /**
   * Reads the KEK file anew and puts the store under its newest KEK, which must be `kekId`.
   * @throws KmeError BAD_REQUEST: no such store; SEALING_FAILED: another KEK; STORE_FAILED: to be done again
   */
  rotateKek(kekId: string): Promise<void>
}

export interface KmeView {
  readonly kmeId: KmeId
  readonly version: string
  /** ISO 8601. */
  readonly startedAt: string
  readonly uptimeS: number
  readonly runtime: {
    readonly node: string
    /** One line, where the runtime has a known weakness. */
    readonly warning: string | null
  }
  readonly registeredSaes: number
  readonly allowSimulated: boolean
}

/** One reason why the KME, or one link of it, delivers no keys. */
export interface ReadyReason {
  /** Stable, in words joined by dashes, for example `no-session`, `no-keys`, `store-failed`. */
  readonly code: string
  /** One line for people: what, where, what to do. */
  readonly message: string
  readonly linkId?: LinkId
}

export interface AlarmView extends Alarm {
  /** When it was first raised, ISO 8601. */
  readonly since: string
  readonly times: number
}

/**
 * `ready`: a session with the peer, and keys can be delivered · `empty`: a session, but no keys ·
 * `silent`: the peer misses its deadlines · `down`: no session.
 */
export type LinkViewState = 'ready' | 'empty' | 'silent' | 'down'

export interface LinkView {
  readonly linkId: LinkId
  readonly peerKmeId: KmeId
  /** Which end of the link this KME is. */
  readonly end: LinkEnd
  readonly state: LinkViewState
  /** One line, where the state is not `ready`. */
  readonly reason: string | null
  readonly confirm: 'peer' | 'local'
  readonly epoch: Epoch | null
  /** How often this end was started on its store. */
  readonly life: number
  /** The peer's life, as far as this end knows. */
  readonly peerLife: number | null
  /** The lane from which this KME allocates, then the peer's. */
  readonly lanes: readonly [own: LaneView, other: LaneView]
  readonly ledger: LedgerView
  /** Keys of the default size that could be delivered now. */
  readonly keys: { readonly deliverable: number; readonly sizeBits: number; readonly max: number }
  readonly devices: readonly DeviceView[]
  readonly pending: PendingView
  /** Where the key material comes from; anything but `hardware` is no secret. */
  readonly provenance: readonly Provenance[]
}

export interface LaneView {
  readonly lane: LaneName
  readonly owner: 'this' | 'peer'
  readonly appendedBytes: number
  /** Durable at both ends: what may be allocated from. */
  readonly usableBytes: number
  readonly consumedBytes: number
  /** Given by the owner to the other KME to allocate from, and not consumed. */
  readonly grantedBytes: number
  /** Usable, and neither consumed nor granted: what the owner may allocate. */
  readonly availableBytes: number
}

export interface LedgerView extends Ledger {
  /** Whether the states add up to what was received (promise P8). */
  readonly balanced: boolean
  /** Bytes received less the bytes in all states. */
  readonly differenceBytes: number
}

/** Work that waits, for the peer or for an SAE. */
export interface PendingView {
  /** Deliveries that the peer has not confirmed yet. */
  readonly confirms: number
  /** Blocks that the peer has not been told of, or that wait for their equality proof. */
  readonly unverifiedBytes: number
  /** Keys that an SAE registered here has not fetched. */
  readonly unfetchedBytes: number
}

export interface DeviceView extends DriverStatus {
  readonly deviceId: DeviceId
  readonly driver: string
  readonly role: DeviceRole
}

/** GET /admin/v1/status */
export interface StatusAnswer {
  readonly kme: KmeView
  readonly ready: boolean
  readonly reasons: readonly ReadyReason[]
  readonly links: readonly LinkView[]
  readonly alarms: readonly AlarmView[]
}

/** GET /readyz */
export interface ReadyAnswer {
  readonly ready: boolean
  readonly reasons: readonly ReadyReason[]
}

/** GET /admin/v1/links/:id */
export interface LinkAnswer {
  readonly link: LinkView
  readonly alarms: readonly AlarmView[]
}

/** Body of POST /admin/v1/links/:id/devices/:deviceId/control */
export interface ControlRequest {
  readonly name: string
  readonly value: ControlValue
}

/** Body of POST /admin/v1/store/rotate-kek: the name of the KEK that the KEK file ends with. */
export interface RotateKekRequest {
  readonly kekId: string
}

/** Every answer of the operator API that is no success. */
export interface AdminErrorAnswer {
  readonly message: string
}
