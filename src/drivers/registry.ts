import type { QkdDriver } from '../ports/qkd-driver.ts'
import { factory as keyFiles } from './key-files/index.ts'
import type { DriverConfig } from './options.ts'
import { factory as simulator } from './simulator/index.ts'

/** Makes the driver of a device from its configuration. A driver without its case does not compile. */
export const createDriver = (config: DriverConfig): QkdDriver => {
  switch (config.driver) {
    case 'simulator':
      return simulator.create(config.options)
    case 'key-files':
      return keyFiles.create(config.options)
  }
}
