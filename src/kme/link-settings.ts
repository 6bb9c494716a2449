import type { Config, DeviceConfig, LinkConfig } from '../config/schema.ts'
import type { DeviceSettings, LinkSettings } from '../links/link-parts.ts'
import { bytesOfBits } from '../model/units.ts'
import { msOfSeconds } from '../model/units.ts'
import type { DriverConfig } from '../drivers/options.ts'
import type { QkdDriver } from '../ports/qkd-driver.ts'

/** A request to a peer that takes longer is given up. */
const PEER_TIMEOUT_MS = 5_000

export type DriverMaker = (config: DriverConfig) => QkdDriver

const deviceSettings = (device: DeviceConfig, createDriver: DriverMaker): DeviceSettings => ({
  deviceId: device.id,
  role: device.role,
  settleMs: msOfSeconds(device.settleS),
  createDriver: () => createDriver(device as DriverConfig),
})

/** What the domain needs of a link's configuration. */
export const linkSettings = (
  config: Config,
  link: LinkConfig,
  createDriver: DriverMaker,
): LinkSettings => ({
  linkId: link.id,
  kmeId: config.kme.id,
  peerKmeId: link.peer,
  confirm: link.confirm,
  confirmDeadlineMs: link.confirmDeadlineMs,
  limits: {
    defaultKeySizeBits: link.keySizeBits,
    minKeySizeBits: link.minKeySizeBits,
    maxKeySizeBits: link.maxKeySizeBits,
    maxKeysPerRequest: link.maxKeysPerRequest,
    maxKeyCount: link.poolKeys,
    maxAdditionalSlaves: link.maxAdditionalSlaves,
    keyLifetimeMs: msOfSeconds(link.keyLifetimeS),
    redeliveryWindowMs: msOfSeconds(link.redeliveryWindowS),
  },
  maxAgeMs: link.maxAgeS === undefined ? null : msOfSeconds(link.maxAgeS),
  poolBytes: link.poolKeys * bytesOfBits(link.keySizeBits),
  highWaterFraction: link.highWaterPercent / 100,
  lowWaterFraction: link.lowWaterPercent / 100,
  devices: link.devices.map((device) => deviceSettings(device, createDriver)),
})

/** Not shorter than what a delivery may wait for its answer. */
export const peerTimeoutMs = ({
  confirmDeadlineMs,
}: Pick<LinkConfig, 'confirmDeadlineMs'>): number => Math.max(PEER_TIMEOUT_MS, confirmDeadlineMs)
