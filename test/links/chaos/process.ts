import type { Clock } from '../../../src/ports/clock.ts'
import { KmeError } from '../../../src/errors.ts'
import type { Store } from '../../../src/stores/store.ts'

/**
 * What a process has of the world until it is killed: from then on nothing that it asks for
 * happens, and it hears of nothing any more. What its store had been asked before may be durable.
 */
export class ProcessLife {
  #alive = true
  /** So many of the next writes fail, as on a full disk. */
  failWrites = 0

  kill(): void {
    this.#alive = false
  }

  get alive(): boolean {
    return this.#alive
  }

  store(real: Store): Store {
    return new Proxy(real, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name, target)
        if (typeof member !== 'function') return member
        if (name === 'onRestored') {
          return (listener: () => void) =>
            target.onRestored(() => {
              if (this.#alive) listener()
            })
        }
        return (...args: readonly unknown[]) =>
          this.#call(String(name), () => Reflect.apply(member, target, args) as Promise<unknown>)
      },
    })
  }

  clock(real: Clock): Clock {
    return {
      monotonicMs: () => real.monotonicMs(),
      wallMs: () => real.wallMs(),
      after: (delayMs, callback) =>
        real.after(delayMs, () => {
          if (this.#alive) callback()
        }),
    }
  }

  /** A promise of this process: never settles once it is dead. */
  lived<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      promise.then(
        (value) => {
          if (this.#alive) resolve(value)
        },
        (error: unknown) => {
          if (this.#alive) reject(error instanceof Error ? error : new Error(String(error)))
        },
      )
    })
  }

  #call(name: string, work: () => Promise<unknown>): Promise<unknown> {
    if (!this.#alive) return this.lived(Promise.resolve())
    if (this.failWrites > 0 && !/^(read|list|count|recount|next)/.test(name)) {
      this.failWrites -= 1
      return this.lived(Promise.reject(new KmeError('STORE_FAILED', 'the disk is full')))
    }
    return this.lived(work())
  }
}
