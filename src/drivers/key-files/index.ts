import type { DriverFactory } from '../../ports/qkd-driver.ts'
import { KEY_FILES_TYPE, KeyFilesDriver } from './driver.ts'
import type { KeyFilesOptions } from './options.ts'

/** Key files in a folder, as a device or its own software puts them there. */
export const factory: DriverFactory<KeyFilesOptions> = {
  type: KEY_FILES_TYPE,
  create: (options) => new KeyFilesDriver(options),
}
