import * as z from 'zod'
import { keyFilesOptionsSchema, keyFilesPathFields } from './key-files/options.ts'
import { simulatorOptionsSchema, simulatorPathFields } from './simulator/options.ts'

/** Which driver a device has, with that driver's options: one member per folder of `drivers/`. */
export const driverConfigSchema = z.discriminatedUnion('driver', [
  z.strictObject({
    driver: z
      .literal('simulator')
      .describe('A simulated device: no real key, for trying things out'),
    options: simulatorOptionsSchema.prefault({}),
  }),
  z.strictObject({
    driver: z.literal('key-files').describe('A device that puts key files into a folder'),
    options: keyFilesOptionsSchema,
  }),
])

export type DriverConfig = z.output<typeof driverConfigSchema>
export type DriverType = DriverConfig['driver']

/** Options of each driver that name files or folders: `config/load.ts` makes them absolute. */
export const driverPathFields = {
  simulator: simulatorPathFields,
  'key-files': keyFilesPathFields,
} as const satisfies Record<DriverType, readonly string[]>

/** Drivers whose key is not from a QKD device: a production configuration must allow them. */
export const SIMULATED_DRIVERS: readonly DriverType[] = ['simulator']
