import { KmeError, messageOf } from '../errors.ts'

/** What makes a KME stop for good: told once, to whoever runs it. */
export class Failure {
  readonly promise: Promise<KmeError>
  #reason: string | null = null
  #resolve: (error: KmeError) => void = () => undefined

  constructor() {
    this.promise = new Promise((resolve) => {
      this.#resolve = resolve
    })
  }

  get reason(): string | null {
    return this.#reason
  }

  fail(error: unknown): void {
    if (this.#reason !== null) return
    this.#reason = messageOf(error)
    this.#resolve(
      error instanceof KmeError ? error : new KmeError('INTERNAL', this.#reason, { cause: error }),
    )
  }
}
