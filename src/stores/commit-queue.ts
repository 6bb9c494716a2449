import { isKmeError, KmeError } from '../errors.ts'
import { nextTurn } from '../support/next-turn.ts'
import type { StoreBackend, StoreTx } from './store-tx.ts'

/** Operations that share one commit at most: bounds what a failed commit fails. */
const MAX_GROUP = 256
/** Once the operations of a group took so long, those left are for the next commit: others wait for a turn. */
const LONG_WORK_MS = 8
/** How long work that nobody waits for may wait for the commit of other work. */
const LONGEST_WAIT_MS = 100

interface Job {
  /** Runs the operation in its savepoint; throws only what ends the whole transaction. */
  attempt(tx: StoreTx): void
  /** The transaction is durable: settles the promise. */
  settle(): void
  /** The transaction did not come to be: rejects with this. */
  fail(error: KmeError): void
}

/** What an operation came to, until its commit is durable. */
type Attempt<T> =
  | { readonly kind: 'value'; readonly value: T }
  | { readonly kind: 'error'; readonly error: unknown }

/**
 * Runs operations one after the other, in the order of the calls. Those that are called while a
 * commit is under way, or in one turn of the event loop, share the next, as long as they are few and
 * short: one sync for all of them. Where they do not, still none of another call comes between.
 * Each has its own savepoint, so one that throws disturbs no other. Nobody hears of anything before
 * it is durable.
 */
export class CommitQueue {
  readonly #backend: StoreBackend
  readonly #longWorkMs: number
  #waiting: Job[] = []
  #draining: Promise<void> | null = null
  #closing: Promise<void> | null = null
  #laterTimer: NodeJS.Timeout | undefined
  /** When the commit under way began; null: there is none. */
  #committingSinceMs: number | null = null
  #reportFailed: (error: KmeError) => void = () => undefined
  /** Resolves once the backend is poisoned. */
  readonly failed: Promise<KmeError>

  constructor(backend: StoreBackend, longWorkMs = LONG_WORK_MS) {
    this.#backend = backend
    this.#longWorkMs = longWorkMs
    this.failed = new Promise((resolve) => {
      this.#reportFailed = resolve
    })
  }

  /**
   * Resolves with what `work` returned once that is durable. `discard` gets a value that came to
   * nothing because the commit failed, to wipe it.
   * @throws what `work` throws; KmeError STORE_FAILED
   */
  run<T>(work: (tx: StoreTx) => T, discard?: (value: T) => void): Promise<T> {
    const done = this.#enqueue(work, discard)
    this.#start()
    return done
  }

  /** The same, for work that nobody waits for: it shares the next commit, or has its own a little later. */
  runWithNext<T>(work: (tx: StoreTx) => T): Promise<T> {
    const done = this.#enqueue(work)
    this.#laterTimer ??= setTimeout(() => {
      this.#start()
    }, LONGEST_WAIT_MS).unref()
    return done
  }

  /** How long the commit that is under way has taken so far. */
  get commitMs(): number {
    return this.#committingSinceMs === null ? 0 : performance.now() - this.#committingSinceMs
  }

  #enqueue<T>(work: (tx: StoreTx) => T, discard?: (value: T) => void): Promise<T> {
    if (this.#closing) return Promise.reject(new KmeError('STORE_FAILED', 'the store is closed'))
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push(jobOf(work, { resolve, reject, discard }))
    })
  }

  #start(): void {
    this.#draining ??= this.#drain()
  }

  /** Commits what was called before, then closes the backend. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    if (this.#waiting.length > 0) this.#start()
    await this.#draining
    await this.#backend.close()
  }

  async #drain(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        // Lets every call of this turn join, and input and output go on between two commits.
        await nextTurn()
        clearTimeout(this.#laterTimer)
        this.#laterTimer = undefined
        await this.#commit()
      }
    } finally {
      this.#draining = null
    }
  }

  async #commit(): Promise<void> {
    const group: Job[] = []
    this.#committingSinceMs = performance.now()
    try {
      await this.#backend.transact((tx) => {
        this.#attemptInto(group, tx)
      })
    } catch (error) {
      const failure = failureOf(error)
      // Where not even a transaction begins, nobody waits for the next.
      if (group.length === 0) group.push(...this.#waiting.splice(0, MAX_GROUP))
      for (const job of group) job.fail(failure)
      if (this.#backend.poisoned) this.#reportFailed(failure)
      return
    } finally {
      this.#committingSinceMs = null
    }
    for (const job of group) job.settle()
  }

  #attemptInto(group: Job[], tx: StoreTx): void {
    const sinceMs = performance.now()
    while (group.length < MAX_GROUP) {
      const job = this.#waiting.shift()
      if (!job) return
      group.push(job)
      job.attempt(tx)
      if (performance.now() - sinceMs >= this.#longWorkMs) return
    }
  }
}

interface Caller<T> {
  readonly resolve: (value: T) => void
  readonly reject: (error: unknown) => void
  readonly discard: ((value: T) => void) | undefined
}

const jobOf = <T>(work: (tx: StoreTx) => T, { resolve, reject, discard }: Caller<T>): Job => {
  let attempt: Attempt<T> | null = null
  return {
    attempt: (tx) => {
      attempt = tryIn(tx, work)
    },
    settle: () => {
      if (attempt?.kind === 'value') resolve(attempt.value)
      else reject(attempt?.error)
    },
    fail: (error) => {
      if (attempt?.kind === 'value') discard?.(attempt.value)
      reject(error)
    },
  }
}

const tryIn = <T>(tx: StoreTx, work: (tx: StoreTx) => T): Attempt<T> => {
  try {
    return { kind: 'value', value: tx.savepoint(() => work(tx)) }
  } catch (error) {
    // The database has given up the whole transaction.
    if (isKmeError(error, 'STORE_FAILED')) throw error
    return { kind: 'error', error }
  }
}

/** Whatever an operation found out of the database itself fails all that were to be committed with it. */
const failureOf = (error: unknown): KmeError => {
  if (isKmeError(error, 'STORE_FAILED')) return error
  const what = isKmeError(error, 'STORE_CORRUPT') ? error.message : 'the store could not commit'
  return new KmeError('STORE_FAILED', what, { cause: error })
}
