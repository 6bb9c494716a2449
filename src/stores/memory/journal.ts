import { wipe } from '../../support/wipe.ts'

interface Step {
  undo(): void
  /** Key material that this step replaced or deleted: wiped once nothing can bring it back. */
  readonly before: Buffer | null
  /** Key material that this step wrote: wiped when it is undone. */
  readonly after: Buffer | null
}

/** What the present transaction has changed, so that it can be undone. */
export class Journal {
  #steps: Step[] = []

  /** A place to roll back to. */
  get mark(): number {
    return this.#steps.length
  }

  record(step: Step): void {
    this.#steps.push(step)
  }

  rollbackTo(mark: number): void {
    for (const step of this.#steps.splice(mark).reverse()) {
      step.undo()
      wipe(step.after)
    }
  }

  /** Nothing before this can be undone any more. */
  commit(): void {
    for (const { before } of this.#steps) wipe(before)
    this.#steps = []
  }
}
