import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const LIBRARIES = '/usr/lib'
const NAME = 'faketime/libfaketimeMT.so.1'

const findLibrary = (): string => {
  const found = ['', ...readdirSync(LIBRARIES)]
    .map((folder) => join(LIBRARIES, folder, NAME))
    .find((path) => existsSync(path))
  if (found !== undefined) return found
  throw new Error('libfaketime is not installed, so no clock can be moved; install faketime')
}

/** The wall clock of one process, which can be moved while it runs. Its running time is not touched. */
export class MovedClock {
  readonly #file: string

  constructor(file: string) {
    this.#file = file
    this.move('+0')
  }

  /** For example `+10y`, `-1h`. */
  move(by: string): void {
    writeFileSync(this.#file, `${by}\n`)
  }

  /** For the process whose clock it is. */
  get env(): Readonly<Record<string, string>> {
    return {
      LD_PRELOAD: findLibrary(),
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    }
  }
}
