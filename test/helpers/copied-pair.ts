import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeKekFile } from '../../src/sealing/kek-file.ts'
import { openFileSealing } from '../../src/sealing/file-sealing.ts'
import { openSqliteStore } from '../../src/stores/sqlite/sqlite-store.ts'
import { systemRandom } from '../../src/support/system-clock.ts'
import type { QkdDriver } from '../../src/ports/qkd-driver.ts'
import type { Store } from '../../src/stores/store.ts'
import { PushDriver } from './push-driver.ts'
import { Site } from './link-pair.ts'
import type { SiteOptions } from './link-pair.ts'

/** One end whose store is a file, which can be put aside and put back. */
export class CopiedSite implements AsyncDisposable {
  readonly #directory = mkdtempSync(join(tmpdir(), 'keyspring copied '))
  readonly #options: Pick<SiteOptions, 'kmeId' | 'peerKmeId' | 'sae'>
  readonly #sealing
  driver = new PushDriver()
  /** How its drivers were opened, in order. */
  readonly openedAfresh: boolean[] = []
  /** As if nobody had plugged them in. */
  opensDrivers = true
  site!: Site

  static async make(options: Pick<SiteOptions, 'kmeId' | 'peerKmeId' | 'sae'>) {
    const copied = new CopiedSite(options)
    copied.site = await copied.#makeSite()
    return copied
  }

  private constructor(options: Pick<SiteOptions, 'kmeId' | 'peerKmeId' | 'sae'>) {
    this.#options = options
    const kekFile = join(this.#directory, 'kek')
    makeKekFile(kekFile, systemRandom)
    this.#sealing = openFileSealing(kekFile, { random: systemRandom })
  }

  /** Stops; `whileClosed` sees the closed file. Nothing runs before `connect`. */
  async reopen(whileClosed: (path: string) => void = () => undefined): Promise<void> {
    await this.site.link.stop()
    await this.site.store.close()
    whileClosed(this.#path)
    this.site = await this.#makeSite()
  }

  /** Puts a copy of the store aside under a name; the link is stopped afterwards. */
  putAside(name: string): Promise<void> {
    return this.reopen((path) => {
      copyFileSync(path, `${path}.${name}`)
    })
  }

  putBack(name: string): Promise<void> {
    return this.reopen((path) => {
      copyFileSync(`${path}.${name}`, path)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.site.link.stop()
    await this.site.store.close()
    const sealing = await this.#sealing
    sealing.close()
    rmSync(this.#directory, { recursive: true })
  }

  get #path(): string {
    return join(this.#directory, 'store.db')
  }

  #makeSite(): Promise<Site> {
    return Site.make({
      ...this.#options,
      openStore: () => this.#openStore(),
      createDriver: () => this.#createDriver(),
    })
  }

  async #openStore(): Promise<Store> {
    const sealing = await this.#sealing
    return openSqliteStore({ path: this.#path, sealing, random: systemRandom })
  }

  #createDriver(): QkdDriver {
    const driver = new PushDriver()
    const open = driver.open.bind(driver)
    driver.open = async (context, options) => {
      if (!this.opensDrivers) throw new Error('the device does not answer')
      this.openedAfresh.push(options?.afresh ?? false)
      await open(context)
    }
    this.driver = driver
    return driver
  }
}

/** Connects two ends, both stopped, and starts them. */
export const startBoth = (a: CopiedSite, b: CopiedSite): void => {
  a.site.wire.connect(b.site.link)
  b.site.wire.connect(a.site.link)
  a.site.link.start()
  b.site.link.start()
}
