import type {
  AdminParts,
  DeviceView,
  KmeView,
  LaneView,
  LinkView,
  LinkViewState,
  ReadyReason,
} from '../admin/admin-parts.ts'
import { LANE_NAMES, freeForOwner } from '../model/lane.ts'
import type { LaneName, LaneState } from '../model/lane.ts'
import { coveredBytes } from '../model/range.ts'
import type { Config, LinkConfig } from '../config/schema.ts'
import type { Device } from '../links/device.ts'
import type { KmeObserver } from '../log.ts'
import type { Link } from '../links/link.ts'
import type { Store } from '../stores/store.ts'
import { KmeError } from '../errors.ts'
import { bytesOfBits } from '../model/units.ts'
import { ledgerDifference } from '../model/ledger.ts'

export interface ViewParts {
  readonly config: Config
  readonly links: readonly Link[]
  readonly store: Store
  readonly observer: KmeObserver
  readonly kme: () => KmeView
  /** Why the store cannot be used any more, or null. */
  readonly storeFault: () => string | null
  readonly rotateKek: AdminParts['rotateKek']
}

/** What the admin listener shows of the running KME. */
export const adminParts = (parts: ViewParts): AdminParts => ({
  kme: parts.kme,
  links: () => Promise.all(parts.links.map((link) => linkView(parts, link))),
  readiness: () => readiness(parts),
  alarms: () => parts.observer.standing(),
  rotateKek: parts.rotateKek,
  control: (linkId, deviceId, name, value) => {
    const link = parts.links.find((one) => one.linkId === linkId)
    if (!link) throw new KmeError('BAD_REQUEST', `there is no link ${linkId}`)
    return link.control(deviceId, name, value)
  },
})

const configOf = ({ config }: ViewParts, { linkId }: Link): LinkConfig => {
  const link = config.links.find(({ id }) => id === linkId)
  if (!link) throw new TypeError('a link without a configuration')
  return link
}

const deliverableKeys = (config: LinkConfig, link: Link): number =>
  Math.min(config.poolKeys, link.destination.deliverableKeys(bytesOfBits(config.keySizeBits)))

const stateOf = (link: Link, deliverable: number): LinkViewState => {
  if (link.waitingFor !== '') return 'down'
  if (link.silent) return 'silent'
  return deliverable > 0 ? 'ready' : 'empty'
}

const reasonOf = (link: Link, state: LinkViewState): string | null => {
  switch (state) {
    case 'ready':
      return null
    case 'down':
      return link.waitingFor
    case 'silent':
      return `KME ${link.peerKmeId} does not answer`
    case 'empty':
      return emptyReason(link)
  }
}

const emptyReason = ({ devices }: Link): string => {
  if (devices.length === 0) return 'no device is configured'
  const faults = devices.flatMap((device) => {
    const { state, reason } = device.status()
    return state === 'running'
      ? []
      : [`device ${device.settings.deviceId} is ${state}: ${reason ?? ''}`]
  })
  return faults.length > 0 ? faults.join('; ') : 'no verified key yet'
}

const laneView = (lane: LaneName, owner: 'this' | 'peer', state: LaneState): LaneView => ({
  lane,
  owner,
  appendedBytes: state.appendedBytes,
  usableBytes: state.usableBytes,
  consumedBytes: coveredBytes(state.consumed),
  grantedBytes: coveredBytes(state.granted),
  availableBytes: coveredBytes(freeForOwner(state)),
})

const deviceView = (config: LinkConfig, device: Device): DeviceView => {
  const { deviceId, role } = device.settings
  const status = device.status()
  const driver = config.devices.find(({ id }) => id === deviceId)?.driver ?? ''
  return { deviceId, driver, role, ...status }
}

const linkView = async (parts: ViewParts, link: Link): Promise<LinkView> => {
  const config = configOf(parts, link)
  const { linkId, peerKmeId } = link
  const snapshot = await parts.store.readLink(linkId)
  const ledger = await parts.store.readLedger(linkId)
  const deliverable = deliverableKeys(config, link)
  const state = stateOf(link, deliverable)
  const ownLane = snapshot.end
  const otherLane = LANE_NAMES.find((lane) => lane !== ownLane) ?? ownLane
  const devices = link.devices.map((device) => deviceView(config, device))
  const differenceBytes = ledgerDifference(ledger)
  return {
    linkId,
    peerKmeId,
    end: snapshot.end,
    state,
    reason: reasonOf(link, state),
    confirm: config.confirm,
    epoch: snapshot.epoch,
    life: snapshot.life,
    peerLife: snapshot.knownOfPeer?.life ?? null,
    lanes: [
      laneView(ownLane, 'this', snapshot.lanes[ownLane]),
      laneView(
        otherLane,
        peerKmeId === parts.config.kme.id ? 'this' : 'peer',
        snapshot.lanes[otherLane],
      ),
    ],
    ledger: { ...ledger, balanced: differenceBytes === 0, differenceBytes },
    keys: { deliverable, sizeBits: config.keySizeBits, max: config.poolKeys },
    devices,
    pending: {
      confirms: await parts.store.countUnconfirmed(linkId),
      unverifiedBytes: ledger.bytes.unverified,
      unfetchedBytes: ledger.bytes.held,
    },
    provenance: [...new Set(devices.map(({ provenance }) => provenance))],
  }
}

/** A disk that takes longer for one commit is not only slow. */
const HUNG_MS = 5_000

/** Nothing is answered before the disk has it: one that hangs holds up every delivery. */
const storeReasons = ({ storeFault, store }: ViewParts): readonly ReadyReason[] => {
  const fault = storeFault()
  if (fault !== null) return [{ code: 'store-failed', message: fault }]
  if (store.commitMs < HUNG_MS) return []
  const seconds = Math.floor(store.commitMs / 1000)
  const message = `the store waits for its disk for ${String(seconds)} s now; look at the disk and the system's log`
  return [{ code: 'store-hangs', message }]
}

const readiness = (parts: ViewParts): readonly ReadyReason[] => {
  const reasons: ReadyReason[] = [...storeReasons(parts)]
  if (parts.links.length === 0) {
    reasons.push({ code: 'no-links', message: 'no link is configured' })
  }
  if (parts.config.saes.length === 0) {
    reasons.push({ code: 'no-saes', message: 'no SAE is registered: add it under saes' })
  }
  return [...reasons, ...parts.links.flatMap((link) => linkReasons(parts, link))]
}

const REASON_CODES = { down: 'no-session', silent: 'peer-silent', empty: 'no-keys' } as const

const linkReasons = (parts: ViewParts, link: Link): readonly ReadyReason[] => {
  const state = stateOf(link, deliverableKeys(configOf(parts, link), link))
  if (state === 'ready') return []
  const message = `link ${link.linkId}: ${reasonOf(link, state) ?? ''}`
  return [{ code: REASON_CODES[state], message, linkId: link.linkId }]
}
