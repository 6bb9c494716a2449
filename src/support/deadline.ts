import type { Clock } from '../ports/clock.ts'

/** Resolves with what `work` gives, or with `late` after `deadlineMs`; `work` goes on by itself. */
export const withDeadline = async <T, L>(
  clock: Clock,
  deadlineMs: number,
  work: Promise<T>,
  late: L,
): Promise<T | L> => {
  let cancel = (): void => undefined
  const timer = new Promise<L>((resolve) => {
    cancel = clock.after(deadlineMs, () => {
      resolve(late)
    })
  })
  try {
    return await Promise.race([work, timer])
  } finally {
    cancel()
  }
}

/** Resolves after `delayMs`. */
export const pause = (clock: Clock, delayMs: number): Promise<void> =>
  new Promise((resolve) => {
    clock.after(delayMs, resolve)
  })
