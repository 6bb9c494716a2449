import { watch, type FSWatcher } from 'node:fs'
import { KmeError, messageOf } from '../../errors.ts'
import type { BlockRef } from '../../model/block.ts'
import type {
  DriverContext,
  DriverState,
  DriverStatus,
  OpenOptions,
  QkdDriver,
} from '../../ports/qkd-driver.ts'
import { Backoff } from '../../support/backoff.ts'
import { COR } from './cor.ts'
import { KeyFolder } from './files.ts'
import { Intake } from './intake.ts'
import type { KeyFilesOptions } from './options.ts'

export const KEY_FILES_TYPE = 'key-files'

const RETRY = { firstMs: 500, mostMs: 60_000 }
/** After a change notice: writers make many. */
const NOTICE_DELAY_MS = 50

/** A device that hands key over as files in a folder. */
export class KeyFilesDriver implements QkdDriver {
  readonly type = KEY_FILES_TYPE
  readonly family = 'identified-push'
  readonly #options: KeyFilesOptions
  #context: DriverContext | undefined
  #intake: Intake | undefined
  #backoff: Backoff | undefined
  #watcher: FSWatcher | undefined
  #state: DriverState = 'closed'
  #reason: string | null = 'closed'
  #progressWaits = false
  #cancelTimer: (() => void) | undefined
  #dueMs = Infinity
  #round: Promise<void> | undefined

  constructor(options: KeyFilesOptions) {
    this.#options = options
  }

  async open(context: DriverContext, options: OpenOptions): Promise<void> {
    if (this.#context !== undefined) throw new TypeError('the key-file device is open already')
    const folder = new KeyFolder(this.#options.directory, COR.suffix, this.#options)
    const intake = new Intake(context, this.#options, folder)
    try {
      await folder.check()
      if (options.afresh) await intake.discardAll()
      else await intake.resume()
    } catch (error) {
      throw this.#openFailed(error)
    }
    this.#progressWaits = options.afresh
    this.#context = context
    this.#intake = intake
    this.#backoff = new Backoff({ random: context.random, ...RETRY })
    this.#set('initialising', 'not started yet')
  }

  async start(): Promise<void> {
    if (this.#context === undefined)
      throw new KmeError('NOT_READY', 'the key-file device is not open')
    this.#set('running', null)
    this.#watch()
    this.#schedule(0)
  }

  setDemand(bytes: number): void {
    const intake = this.#intake
    if (intake === undefined) return
    const waited = intake.credit.bytes <= 0
    intake.credit.set(Math.max(0, bytes))
    if (waited && bytes > 0 && this.#state === 'running') this.#schedule(0)
  }

  async ack(_refs: readonly BlockRef[]): Promise<void> {
    // The answer to `offer` says that a block is durable, and a file goes when all of its blocks are.
  }

  async discard(_refs: readonly BlockRef[], _why: string): Promise<void> {
    // Likewise: the file of an unwanted block goes with its other blocks.
  }

  status(): DriverStatus {
    return {
      state: this.#state,
      reason: this.#reason,
      provenance: this.#options.provenance,
      secretKeyRateBps: null,
      qber: null,
      lossDb: null,
      bufferedBytes: this.#intake?.bufferedBytes ?? 0,
      controls: {},
    }
  }

  async close(_options?: { readonly drainMs: number }): Promise<void> {
    this.#intake?.close()
    this.#watcher?.close()
    this.#watcher = undefined
    // A round under way ends with the blocks that it is at, and sets the timer for the next.
    await this.#round
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    this.#dueMs = Infinity
    this.#set('closed', 'closed')
    this.#intake = undefined
    this.#context = undefined
  }

  #openFailed(error: unknown): KmeError {
    if (error instanceof KmeError) return error
    const message = `key files in ${this.#options.directory} cannot be read: ${messageOf(error)}`
    return new KmeError('DRIVER_FAILED', message, { cause: error })
  }

  /** Change notices make a round come sooner. They get lost, so the poll alone counts. */
  #watch(): void {
    try {
      const watcher = watch(this.#options.directory, { persistent: false }, () => {
        if (this.#state === 'running') this.#schedule(NOTICE_DELAY_MS)
      })
      watcher.on('error', () => {
        watcher.close()
      })
      this.#watcher = watcher
    } catch {
      // No notices on this file system.
    }
  }

  /** Sets the one timer, unless it comes sooner anyway. */
  #schedule(delayMs: number): void {
    const clock = this.#context?.clock
    if (clock === undefined) return
    const dueMs = clock.monotonicMs() + delayMs
    if (this.#cancelTimer !== undefined && this.#dueMs <= dueMs) return
    this.#cancelTimer?.()
    this.#dueMs = dueMs
    this.#cancelTimer = clock.after(delayMs, () => {
      this.#cancelTimer = undefined
      this.#dueMs = Infinity
      this.#startRound()
    })
  }

  #startRound(): void {
    const intake = this.#intake
    if (intake === undefined) return
    if (this.#round !== undefined) {
      // Something came up while the folder was read: look once more soon.
      this.#schedule(NOTICE_DELAY_MS)
      return
    }
    this.#round = this.#run(intake).finally(() => {
      this.#round = undefined
    })
  }

  async #run(intake: Intake): Promise<void> {
    const backoff = this.#backoff
    try {
      if (this.#progressWaits) await intake.storeProgress()
      this.#progressWaits = false
      await intake.round()
      backoff?.reset()
      this.#set('running', null)
      this.#schedule(Math.min(this.#options.pollMs, intake.nextMs()))
    } catch (error) {
      this.#set('down', this.#openFailed(error).message)
      this.#schedule(backoff?.next() ?? RETRY.mostMs)
    }
  }

  #set(state: DriverState, reason: string | null): void {
    if (this.#state === state && this.#reason === reason) return
    const isNewlyDown = state === 'down' && this.#state !== 'down'
    this.#state = state
    this.#reason = reason
    this.#context?.events.changed()
    if (isNewlyDown) this.#context?.events.alarm('major', reason ?? state)
  }
}
