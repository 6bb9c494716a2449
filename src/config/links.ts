import * as z from 'zod'
import { driverConfigSchema } from '../drivers/options.ts'
import {
  countField,
  identityField,
  keySizeBits,
  milliseconds,
  nameField,
  seconds,
} from './fields.ts'

const deviceFields = {
  id: nameField().describe('Name of the device, the same at both ends of the link'),
  role: z
    .enum(['leader', 'follower', 'both'])
    .describe(
      'Which end of the device is here: one KME is `leader`, the other `follower`; `both` only on a link of a KME with itself',
    ),
  settleS: seconds(1, 86_400)
    .default(120)
    .describe(
      'How long a block may come later at one end than at the other before it counts as lost, in seconds',
    ),
}

const OPTIONS = 'Options of the driver'

const [simulator, keyFiles] = driverConfigSchema.options

/** A device: what every device has, and what its driver adds. */
const deviceSchema = z.discriminatedUnion('driver', [
  z.strictObject({
    ...deviceFields,
    driver: simulator.shape.driver,
    options: simulator.shape.options.describe(OPTIONS),
  }),
  z.strictObject({
    ...deviceFields,
    driver: keyFiles.shape.driver,
    options: keyFiles.shape.options.describe(OPTIONS),
  }),
])

const sizes = {
  keySizeBits: keySizeBits()
    .default(256)
    .describe('Size of a key when the SAE names none, in bits'),
  minKeySizeBits: keySizeBits()
    .default(64)
    .describe('Smallest key that an SAE may ask for, in bits'),
  maxKeySizeBits: keySizeBits()
    .default(4096)
    .describe('Largest key that an SAE may ask for, in bits'),
  maxKeysPerRequest: countField(1, 4096).default(128).describe('Keys per request at most'),
  maxAdditionalSlaves: countField(0, 64)
    .default(16)
    .describe('Additional slave SAEs per request at most; 0 turns multicast off'),
}

const pool = {
  poolKeys: countField(1, 1_000_000_000)
    .default(100_000)
    .describe('Keys of the default size that the link stores at most, both directions together'),
  highWaterPercent: countField(1, 100)
    .default(80)
    .describe('The devices are told to pause when the pool is filled to this share, in percent'),
  lowWaterPercent: countField(0, 99)
    .default(60)
    .describe('They are told to go on when it has fallen to this share, in percent'),
  maxAgeS: seconds(1)
    .optional()
    .describe(
      'How long key may lie in the store before it is delivered, in seconds of running time: older key is dropped. Without it there is no limit',
    ),
  keyLifetimeS: seconds(1)
    .default(86_400)
    .describe(
      'How long a delivered key waits for the SAEs that have not fetched it, in seconds of running time',
    ),
  redeliveryWindowS: seconds(0, 3600)
    .default(0)
    .describe(
      'How long an SAE of this KME may repeat the very same *Get key with key IDs* and get the same keys again, should the answer have been lost, in seconds of running time; they stay in the store that long. 0: each key is given once',
    ),
}

export const linkSchema = z.strictObject({
  id: nameField().describe('Name of the link, the same at both ends'),
  peer: identityField().describe(
    'The KME at the other end: the `id` of a peer, or the own `kme.id` for a link of this KME with itself',
  ),
  confirm: z
    .enum(['peer', 'local'])
    .default('peer')
    .describe(
      'Whose durable record a master waits for: `peer` is that of both KMEs; `local` only that of this one, which is faster and keeps fewer promises. The same at both ends',
    ),
  confirmDeadlineMs: milliseconds(50, 60_000)
    .default(2000)
    .describe(
      "How long a request waits for the peer's confirmation before it is answered 503, in milliseconds",
    ),
  ...sizes,
  ...pool,
  devices: z.array(deviceSchema).default([]).describe('The devices between the two KMEs'),
})
