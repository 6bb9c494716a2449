import type { FileHandle } from 'node:fs/promises'
import { KmeError } from '../../errors.ts'
import type { DriverContext, KeyBlock, OfferOutcome } from '../../ports/qkd-driver.ts'
import { wipe } from '../../support/wipe.ts'
import { blockAt, blocksFrom, COR, leftOverBytes, type CorBlock } from './cor.ts'
import type { FileFacts, KeyFolder, Sighting } from './files.ts'
import type { KeyFilesOptions } from './options.ts'
import { Progress } from './progress.ts'
import { Settling } from './settling.ts'

const MAX_OFFER_BYTES = 1024 * 1024
/** The health tests know so many again, should the offer fail and be repeated. */
const MAX_OFFER_BLOCKS = 512

const codeOf = (error: unknown): string | undefined =>
  typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : undefined

/** A name from outside: whoever reads the alarm gets one line of it. */
const shown = (name: string): string => name.replace(/\p{C}/gu, '?').slice(0, 120)

/** Bytes that the link wants, counted from its last word. */
export class Credit {
  #bytes = 0
  #calls = 0

  get bytes(): number {
    return this.#bytes
  }

  set(bytes: number): void {
    this.#bytes = bytes
    this.#calls += 1
  }

  /** Spends; the returned function gives back what came to nothing, unless the link has spoken since. */
  spend(bytes: number): () => void {
    const calls = this.#calls
    this.#bytes = Math.max(0, this.#bytes - bytes)
    return () => {
      if (this.#calls === calls) this.#bytes += bytes
    }
  }
}

/**
 * Reads the folder round by round: looks, reads complete files in the order of their names as far as
 * the link wants key, and removes a file once the sink has all of it durable.
 */
export class Intake {
  readonly credit = new Credit()
  readonly #context: DriverContext
  readonly #options: KeyFilesOptions
  readonly #folder: KeyFolder
  readonly #settling: Settling
  /** Complaints made, per file: each is made once. */
  #complaints = new Map<string, string>()
  #progress = Progress.none
  #bufferedBytes = 0
  #closed = false

  constructor(context: DriverContext, options: KeyFilesOptions, folder: KeyFolder) {
    this.#context = context
    this.#options = options
    this.#folder = folder
    this.#settling = new Settling(context.clock, options.settleMs)
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  /** Time until a file may be complete. */
  nextMs(): number {
    return this.#settling.nextMs()
  }

  close(): void {
    this.#closed = true
  }

  /** Goes on where the checkpoint says. @throws KmeError DRIVER_FAILED */
  async resume(): Promise<void> {
    const checkpoint = await this.#context.checkpoint()
    if (checkpoint === null) return
    const progress = Progress.decode(checkpoint)
    if (progress === null) {
      throw new KmeError(
        'DRIVER_FAILED',
        `device "${this.#context.deviceId}": the stored checkpoint is not one of key-files; was the device's driver changed?`,
      )
    }
    this.#progress = progress
  }

  /** What lies in the folder now is never read: it is erased, or kept and passed over. */
  async discardAll(): Promise<void> {
    const sightings = await this.#folder.list(this.#options.maxFiles)
    for (const { facts } of sightings) this.#progress = this.#progress.finished(facts)
    for (const sighting of sightings) await this.#passOver(sighting)
  }

  /** Makes durable what `discardAll` decided. */
  async storeProgress(): Promise<void> {
    await this.#context.sink.offer([], this.#progress.encode())
  }

  /** One round. @throws where the folder or the sink fails: nothing is lost, try again later */
  async round(): Promise<void> {
    const fromMs = this.#context.clock.monotonicMs()
    const sightings = await this.#folder.list(this.#options.maxFiles)
    this.#forget(sightings.map(({ facts }) => facts.name))
    const fresh: FileFacts[] = []
    for (const sighting of sightings) {
      if (this.#progress.doneSizeOf(sighting.facts.name) !== undefined)
        await this.#passOver(sighting)
      else if (sighting.problem !== null) this.#refuse(sighting.facts.name, sighting.problem)
      else fresh.push(sighting.facts)
    }
    this.#bufferedBytes = fresh.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    for (const facts of this.#inTurn(this.#settling.look(fresh, fromMs))) {
      if (this.credit.bytes <= 0 || this.#closed) return
      await this.#readFile(facts)
    }
  }

  /** The file that was begun comes first: only one can be half read. */
  #inTurn(files: readonly FileFacts[]): readonly FileFacts[] {
    const isCurrent = (facts: FileFacts) => facts.name === this.#progress.current?.name
    return [...files.filter(isCurrent), ...files.filter((facts) => !isCurrent(facts))]
  }

  #forget(present: readonly string[]): void {
    const { current } = this.#progress
    if (current !== null && !present.includes(current.name)) {
      const left = blocksFrom(current.sizeBytes, current.records, this.#options)
      this.#context.events.gap(
        left,
        `file ${current.name} was taken away before it was read to its end`,
      )
    }
    this.#progress = this.#progress.among(present)
    const names = new Set(present)
    this.#complaints = new Map([...this.#complaints].filter(([name]) => names.has(name)))
  }

  /** A file that was read to its end before. */
  async #passOver({ facts, problem }: Sighting): Promise<void> {
    if (this.#progress.doneSizeOf(facts.name) !== facts.sizeBytes) {
      this.#refuse(facts.name, 'came again with other content')
      return
    }
    if (problem !== null) this.#refuse(facts.name, problem)
    else if (this.#options.afterRead === 'delete') await this.#erase(facts)
  }

  async #erase(facts: FileFacts): Promise<void> {
    try {
      await this.#folder.erase(facts)
      this.#progress = this.#progress.removed(facts.name)
    } catch (error) {
      const code = codeOf(error) ?? 'unknown error'
      this.#complain(facts.name, `is done with but cannot be removed (${code}): remove it by hand`)
    }
  }

  #refuse(name: string, problem: string): void {
    this.#complain(name, `${problem}: it is not read, remove it`)
  }

  #complain(name: string, problem: string): void {
    if (this.#complaints.get(name) === problem) return
    this.#complaints.set(name, problem)
    this.#context.events.alarm('major', `key file ${shown(name)} ${problem}`)
  }

  /** Null where it is another one by now, gone, or not to be opened: the files after it are read all the same. */
  async #open(facts: FileFacts): Promise<FileHandle | null> {
    try {
      return await this.#folder.open(facts)
    } catch (error) {
      const code = codeOf(error)
      if (code !== 'EACCES' && code !== 'EPERM') throw error
      this.#complain(
        facts.name,
        `may not be read by this user (${code}): correct that or remove it`,
      )
      return null
    }
  }

  async #readFile(facts: FileFacts): Promise<void> {
    const handle = await this.#open(facts)
    if (handle === null) return
    let isDone = false
    let isBad = false
    try {
      let record = this.#startOf(facts)
      while (this.credit.bytes > 0 && !this.#closed && !isDone && !isBad) {
        const blocks = this.#nextBlocks(facts, record)
        record += blocks.reduce((sum, { records }) => sum + records, 0)
        isDone = blockAt(facts, record, this.#options) === null
        const outcomes = await this.#offer(handle, facts, { blocks, record, isDone })
        if (outcomes === null) return
        isBad = outcomes.includes('quarantined')
        if (isBad) this.#reportBad(facts, record)
      }
    } finally {
      await handle.close()
    }
    if (isBad) await this.#dispose(facts)
    else if (isDone) await this.#finish(facts)
  }

  #startOf(facts: FileFacts): number {
    const { current } = this.#progress
    const isSame =
      current?.name === facts.name &&
      current.sizeBytes === facts.sizeBytes &&
      current.modifiedMs === facts.modifiedMs
    // Another content under the name is read from its start: its refs are known, the sink decides.
    return isSame ? current.records : 0
  }

  #nextBlocks(facts: FileFacts, record: number): readonly CorBlock[] {
    const blocks: CorBlock[] = []
    const most = Math.min(MAX_OFFER_BYTES, this.credit.bytes)
    let bytes = 0
    let next = blockAt(facts, record, this.#options)
    const fits = (lengthBytes: number): boolean =>
      blocks.length < MAX_OFFER_BLOCKS && bytes + lengthBytes <= most
    while (next !== null && (blocks.length === 0 || fits(next.lengthBytes))) {
      blocks.push(next)
      bytes += next.lengthBytes
      next = blockAt(facts, next.firstRecord + next.records, this.#options)
    }
    return blocks
  }

  /** Null where the file changed under the reader: it waits until it is complete again. */
  async #offer(
    handle: FileHandle,
    facts: FileFacts,
    to: { readonly blocks: readonly CorBlock[]; readonly record: number; readonly isDone: boolean },
  ): Promise<readonly OfferOutcome[] | null> {
    const offered: KeyBlock[] = []
    const bytes = to.blocks.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0)
    const refund = this.credit.spend(bytes)
    try {
      for (const block of to.blocks) offered.push(await this.#read(handle, block))
      if (!(await this.#folder.isUnchanged(handle, facts))) {
        refund()
        return null
      }
      const progress = to.isDone
        ? this.#progress.finished(facts)
        : this.#progress.at(facts, to.record)
      const outcomes = await this.#context.sink.offer(offered, progress.encode())
      this.#progress = progress
      this.#bufferedBytes -= bytes
      return outcomes
    } catch (error) {
      refund()
      throw error
    } finally {
      for (const { material } of offered) wipe(material)
    }
  }

  async #read(handle: FileHandle, block: CorBlock): Promise<KeyBlock> {
    const material = Buffer.allocUnsafeSlow(block.lengthBytes)
    let filled = 0
    while (filled < material.length) {
      const rest = material.length - filled
      const { bytesRead } = await handle.read(material, filled, rest, block.offsetBytes + filled)
      if (bytesRead === 0)
        throw new KmeError('DRIVER_FAILED', `file of ${block.vendorId} became shorter`)
      filled += bytesRead
    }
    const { deviceId } = this.#context
    return {
      ref: { deviceId, streamId: COR.streamId, vendorId: block.vendorId },
      material,
      provenance: this.#options.provenance,
    }
  }

  #reportBad(facts: FileFacts, record: number): void {
    const left = blocksFrom(facts.sizeBytes, record, this.#options)
    if (left > 0) this.#context.events.gap(left, `file ${facts.name} was given up for its bad key`)
    const fate = this.#options.quarantinedFiles === 'keep' ? 'is renamed' : 'is removed'
    this.#context.events.alarm(
      'major',
      `key file ${facts.name} holds key that was quarantined: it ${fate}, its rest is not read`,
    )
  }

  async #dispose(facts: FileFacts): Promise<void> {
    this.#progress = this.#progress.finished(facts)
    if (this.#options.quarantinedFiles === 'delete') await this.#erase(facts)
    else await this.#folder.putAside(facts)
  }

  async #finish(facts: FileFacts): Promise<void> {
    const left = leftOverBytes(facts.sizeBytes, this.#options)
    if (left > 0) {
      const message = `key file ${facts.name} ends in ${left} bytes that fill no key: left out`
      this.#context.events.alarm('minor', message)
    }
    this.#progress = this.#progress.finished(facts)
    if (this.#options.afterRead === 'delete') await this.#erase(facts)
  }
}
