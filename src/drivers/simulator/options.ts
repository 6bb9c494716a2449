import * as z from 'zod'

const KIB = 1024
const MIB = 1024 * KIB

/** A block is at least this long, so that a bit past its first 64 bytes can be flipped. */
const MIN_BLOCK_BYTES = 256

const endpoint = (portMin: number) =>
  z.strictObject({
    host: z
      .string()
      .regex(/^[^\s/[\]@]{1,255}$/, 'expected a host name or an IP address, without a port')
      .default('127.0.0.1')
      .describe('Host name or IP address'),
    port: z.int().min(portMin).max(65_535).describe('TCP port'),
  })

const burst = z.strictObject({
  blocks: z.int().min(1).max(10_000).describe('Blocks handed over at once, at most'),
  everyS: z.number().positive().max(86_400).describe('Time between two bursts, in virtual seconds'),
})

const link = {
  preset: z
    .enum(['metro-hi', 'entry'])
    .default('entry')
    .describe(
      'Kind of device: `metro-hi` makes Mb/s up to 20 dB of loss, `entry` some kb/s up to 19 dB',
    ),
  lengthKm: z
    .number()
    .min(0)
    .max(1000)
    .default(25)
    .describe('Length of the fibre in km, at 0.2 dB/km'),
  extraLossDb: z
    .number()
    .min(0)
    .max(200)
    .default(0)
    .describe('Loss beside that of the fibre, in dB; can be switched while it runs'),
  eavesdropper: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe(
      'Fraction of the light that an eavesdropper measures, 0 to 1; can be switched while it runs',
    ),
  secretKeyRateBps: z
    .number()
    .positive()
    .max(1e12)
    .optional()
    .describe(
      'Secret key rate with these settings in bits per second of virtual time; default: by preset',
    ),
  qber: z
    .number()
    .min(0)
    .max(0.5)
    .optional()
    .describe('Quantum bit error rate with these settings, 0 to 0.5; default: by preset'),
  qberThreshold: z
    .number()
    .min(0)
    .max(0.5)
    .default(0.11)
    .describe('No key is made above this quantum bit error rate, 0 to 0.5'),
}

const channel = {
  listen: endpoint(0)
    .optional()
    .describe("Where this end awaits the other for the simulator's own channel; one end listens"),
  connect: endpoint(1).optional().describe('Where the other end listens; one end connects'),
  secretFile: z
    .string()
    .min(1)
    .optional()
    .describe(
      'File with the secret that both ends share, 32 bytes or more, readable by its owner alone; a relative path starts at the configuration file',
    ),
  seed: z
    .string()
    .min(1)
    .max(256)
    .optional()
    .describe(
      'For tests: both ends derive the key from this text, so whoever reads it has the key; needs no channel',
    ),
  t0Ms: z
    .int()
    .min(0)
    .default(0)
    .describe('With `seed`: when block 0 was made, in milliseconds since 1970; equal at both ends'),
}

const wayProblem = (options: {
  readonly listen?: unknown
  readonly connect?: unknown
  readonly secretFile?: unknown
  readonly seed?: unknown
}): string | null => {
  const ways = [options.listen, options.connect].filter((way) => way !== undefined).length
  if (options.seed !== undefined) {
    return ways === 0 && options.secretFile === undefined
      ? null
      : '`seed` needs no channel: leave out `listen`, `connect` and `secretFile`'
  }
  if (ways === 2) return 'one end listens and the other connects: leave out `listen` or `connect`'
  if (ways === 1 && options.secretFile === undefined) {
    return 'the channel needs `secretFile`, the same at both ends'
  }
  return null
}

/**
 * Options of the simulated device. Both ends have the same values but for `listen` and `connect`;
 * those of the fibre and of the rate count at the leading end. A device of a link of a KME with
 * itself (role `both`) needs no channel.
 */
export const simulatorOptionsSchema = z
  .strictObject({
    ...link,
    blockBytes: z
      .int()
      .min(MIN_BLOCK_BYTES)
      .max(MIB)
      .default(4 * KIB)
      .describe('Size of a block in bytes; small ones come sooner, large ones cost less'),
    burst: burst
      .optional()
      .describe(
        'Hand blocks over in bursts, as post-processing does, not each as it fills; off by default',
      ),
    speedUp: z
      .number()
      .positive()
      .max(1e6)
      .default(1)
      .describe('How many seconds of virtual time pass in one second'),
    ...channel,
  })
  .superRefine((options, context) => {
    const message = wayProblem(options)
    if (message !== null) context.addIssue({ code: 'custom', message })
  })

export type SimulatorOptions = z.output<typeof simulatorOptionsSchema>

/** Options that name files: relative ones start at the folder of the configuration file. */
export const simulatorPathFields = ['secretFile'] as const
