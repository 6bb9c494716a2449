import type { DeviceSettings, LinkSettings } from '../../src/links/link-parts.ts'

/** Settings of a link of a KME with itself. */
export const selfLinkSettings = (
  linkId: string,
  kmeId: string,
  devices: readonly DeviceSettings[],
): LinkSettings => ({
  linkId,
  kmeId,
  peerKmeId: kmeId,
  confirm: 'peer',
  confirmDeadlineMs: 300,
  limits: {
    defaultKeySizeBits: 256,
    minKeySizeBits: 64,
    maxKeySizeBits: 4096,
    maxKeysPerRequest: 128,
    maxKeyCount: 1000,
    maxAdditionalSlaves: 16,
    keyLifetimeMs: 60_000,
    redeliveryWindowMs: 0,
  },
  maxAgeMs: null,
  poolBytes: 1_000_000,
  highWaterFraction: 0.8,
  lowWaterFraction: 0.6,
  devices,
})
